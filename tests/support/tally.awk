# Reads the TAP output of one part. Prints each failed test with what was said around it,
# then one line: passed failed skipped. A part that died early, printed no plan or did not
# keep to its plans has failed once more.
# Needs: -v part=NAME -v code=EXIT_CODE

function fault(words) {
    printf "not ok - %s: %s\n", part, words
    failed++
}

/^1\.\.0/ {
    plans++
    skipped++
    next
}
/^1\.\.[0-9]+/ {
    plans++
    planned += substr($0, 4) + 0
    next
}
# cmocka before 1.1.6 prints skipped tests as "not ok N # SKIP".
/^(not )?ok [0-9].*# ?SKIP/ {
    results++
    skipped++
    said = after = ""
    next
}
/^ok [0-9]/ {
    results++
    passed++
    said = after = ""
    next
}
/^not ok [0-9]/ {
    results++
    failed++
    printf "%s%s\n", said, $0
    said = ""
    after = 1
    next
}
after { print; next }
{
    # The last 40 lines before a result are what a failed test said.
    said = said $0 "\n"
    if (++kept[results] > 40) sub(/^[^\n]*\n/, "", said)
}

END {
    if (!plans) fault("it printed no TAP plan (exit " code ")")
    else if (planned != results) fault("planned " planned + 0 " tests, ran " results + 0)
    else if (code != 0 && !failed) fault("exit " code " though no test failed")
    if (failed && said != "") printf "%s", said
    print passed + 0, failed + 0, skipped + 0
}

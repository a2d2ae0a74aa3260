#!/bin/sh
# Fails when an alert, the dashboard or README.md names a metric (or a label of
# OpenTelemetry's) that assay does not export.  Usage: metric_names.sh ROOT
cd "$1" || exit 2
! grep -ohE '\b(assay|gen_ai)_[a-z0-9_]*[a-z]\b' README.md config/prometheus/*.yaml \
    config/grafana/*.json | sed -E 's/_(bucket|sum|count)$//' | sort -u |
    while read -r name; do
        grep -qF "\"$name\"" proxy/meter/metrics.def proxy/meter/metrics*.c \
            proxy/admin/*.c || echo "no metric is called $name"
    done | grep .

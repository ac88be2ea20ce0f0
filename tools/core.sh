#!/usr/bin/env bash
# Prints those of the packages that it is given whose tests can be told apart by the
# build tag: something in them, or in what they import, has other files with it. The
# rest has just been tested without it. Usage: tools/core.sh norooms PACKAGE...
set -euo pipefail
cd "$(dirname "$0")/.."
tag=${1:?usage: tools/core.sh TAG PACKAGE...}
shift
go=${GO:-go}
files='{{.ImportPath}} {{.GoFiles}} {{.TestGoFiles}} {{.XTestGoFiles}}'
differ=$( (diff <("$go" list -f "$files" "$@") <("$go" list -tags "$tag" -f "$files" "$@") || [ $? = 1 ]) | sed -n 's/^> \([^ ]*\) .*/\1/p')
if [ -z "$differ" ]; then
  echo "no package differs with the tag $tag: the look for them is broken" >&2
  exit 1
fi
"$go" list -tags "$tag" -test -f '{{if eq .Name "main"}}{{.ImportPath}}{{range .Deps}} {{.}}{{end}}{{end}}' "$@" |
  awk -v differ="$differ" 'BEGIN { n = split(differ, d, "\n"); for (i = 1; i <= n; i++) want[d[i]] = 1 }
    $1 ~ /\.test$/ { for (i = 2; i <= NF; i++) if ($i in want) { sub(/\.test$/, "", $1); print $1; next } }'

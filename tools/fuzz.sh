#!/usr/bin/env bash
# Runs every fuzz target of the repository for the given time, one after another.
# New targets are found by themselves. Usage: tools/fuzz.sh 60s
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?usage: tools/fuzz.sh TIME}
found=0
while IFS=: read -r file line; do
  name=${line#func }
  name=${name%%(*}
  found=$((found + 1))
  echo "fuzz ./${file%/*} $name"
  go test -C "${file%%/*}" -run '^$' -fuzz "^$name\$" -fuzztime "$time" "./$(dirname "${file#*/}")"
done < <(grep -rE --include='*_test.go' --exclude-dir=node_modules -o '^func Fuzz[A-Za-z0-9_]*\(' cmd internal tools | sort)
if [ "$found" = 0 ]; then
  echo "no fuzz target was found: the look for them is broken" >&2
  exit 1
fi
echo "$found fuzz targets, $time each"

#!/usr/bin/env bash
# Runs every fuzz target of the repository for the given time, one after another.
# New targets are found by themselves. Usage: tools/fuzz.sh 60s
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?usage: tools/fuzz.sh TIME}
found=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# run fuzzes one target. Now and then Go's own fuzzer takes the end of the time for a
# failure of the input that it runs then: "context deadline exceeded", and no input is
# written. Only that is tried again.
run() {
  local try
  for try in 1 2 3 4 5; do
    if go test -C "$1" -run '^$' -fuzz "^$2\$" -fuzztime "$time" "$3" 2>&1 | tee "$log"; then return 0; fi
    if ! grep -q '^ *context deadline exceeded$' "$log" || grep -q 'Failing input' "$log"; then return 1; fi
    echo "the time ended within an input; once more"
  done
  return 1
}

while IFS=: read -r file line; do
  name=${line#func }
  name=${name%%(*}
  found=$((found + 1))
  echo "fuzz ./${file%/*} $name"
  run "${file%%/*}" "$name" "./$(dirname "${file#*/}")"
done < <(grep -rE --include='*_test.go' --exclude-dir=node_modules -o '^func Fuzz[A-Za-z0-9_]*\(' cmd internal tools | sort)
if [ "$found" = 0 ]; then
  echo "no fuzz target was found: the look for them is broken" >&2
  exit 1
fi
echo "$found fuzz targets, $time each"

#!/usr/bin/env bash
# Runs every fuzz target of the repository for the given time, one after another.
# New targets are found by themselves. Usage: tools/fuzz.sh 60s
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?usage: tools/fuzz.sh TIME}
found=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$work/log
cache=$(go env GOCACHE)/fuzz/ddpserver

# run fuzzes one target. Now and then Go's own fuzzer takes the end of the time for a
# failure of the input that it runs then: "context deadline exceeded", and no input is
# written. Only that is tried again. $1 is the directory of the package, $2 its program.
run() {
  local try
  for try in 1 2 3 4 5; do
    if (cd "$1" && "$2" -test.paniconexit0 -test.run '^$' -test.fuzz "^$3\$" -test.fuzztime "$time" -test.fuzzcachedir "$cache/$1") 2>&1 |
      tee "$log"; then return 0; fi
    if ! grep -q '^ *context deadline exceeded$' "$log" || grep -q 'Failing input' "$log"; then return 1; fi
    echo "the time ended within an input; once more"
  done
  return 1
}

# The targets of a package are one program, which is made once.
targets=$(grep -rE --include='*_test.go' --exclude-dir=node_modules -o '^func Fuzz[A-Za-z0-9_]*\(' cmd internal tools | sort)
for dir in $(sed 's|/[^/]*$||' <<< "$targets" | sort -u); do
  go test -C "$dir" -c -vet=off -fuzz . -o "$work/fuzz.test" .
  for name in $(sed -n "s|^$dir/[^/]*:func \(.*\)($|\1|p" <<< "$targets"); do
    found=$((found + 1))
    echo "fuzz ./$dir $name"
    run "$dir" "$work/fuzz.test" "$name"
  done
done
if [ "$found" = 0 ]; then
  echo "no fuzz target was found: the look for them is broken" >&2
  exit 1
fi
echo "$found fuzz targets, $time each"

# Runs the browser tests of the console on the embedded store, and then on MongoDB's
# driver against the wire server of the tests. Arguments go to node --test.
set -eu
cd "$(dirname "$0")/../console"
run() { node --test --test-force-exit --test-timeout=1800000 "$@" test/*.test.mjs; }
echo "console on SQLite"
run "$@"
../bin/wired -addr 127.0.0.1:0 > ../build/wired.out &
wired=$!
trap 'kill $wired' EXIT
for _ in $(seq 600); do
  MONGO_URL=$(sed -n 's/.*MONGO_URL=//p' ../build/wired.out)
  [ -z "$MONGO_URL" ] || break
  kill -0 $wired
  sleep 0.1
done
[ -n "$MONGO_URL" ] || { echo "the wire server did not start" >&2; exit 1; }
export MONGO_URL
echo "console on MongoDB's driver"
run "$@"

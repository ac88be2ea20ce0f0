# Runs the browser tests of the console on the embedded store and, beside them, on
# MongoDB's driver against the wire server of the tests: one file at a time each, and
# browsers wait for much. Arguments go to node --test.
set -eu
cd "$(dirname "$0")/../console"
run() { node --test --test-force-exit --test-timeout=1800000 --test-concurrency=1 "$@" test/*.test.mjs; }
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
(MONGO_URL=$MONGO_URL CONSOLE_PICTURES=../build/console-mongo run "$@") > ../build/console-mongo.out 2>&1 &
mongo=$!
failed=0
echo "console on SQLite"
(unset MONGO_URL; run "$@") || failed=1
wait $mongo || failed=1
echo "console on MongoDB's driver"
cat ../build/console-mongo.out
exit $failed

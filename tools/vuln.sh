#!/usr/bin/env bash
# Runs govulncheck on the program with data from a file, since build machines
# have no network. The argument is a vdb.tgz or a directory unpacked from one.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${1:?usage: tools/vuln.sh FILE-OR-DIRECTORY}
if [ -f "$data" ]; then
  mkdir -p build/vulndb
  tar xzf "$data" -C build/vulndb --strip-components=1
  data=build/vulndb
fi
if [ ! -d "$data/index" ]; then
  echo '***********************************************************************' >&2
  echo "*** NOT CHECKED for known vulnerabilities: there is no data in $data" >&2
  echo '*** Set VULNDB to a vdb.tgz of the Go vulnerability database.' >&2
  echo '***********************************************************************' >&2
  exit 0
fi
db="file://$(cd "$data" && pwd)"
"$(go tool -C tools -n govulncheck)" -db "$db" ./cmd/...
cd tools && go tool govulncheck -db "$db" ./...

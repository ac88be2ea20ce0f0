# What the tests need of a machine. Without arguments: says at once and together what
# is missing and how to get it, and fails if anything is. With "race": prints the flag
# of the race detector, or nothing where it cannot run, and says so on standard error.
# It uses nothing but bash and coreutils: what it looks for may be all that is missing.
set -u
cd "$(dirname "$0")/.."
GO=${GO:-go}
has() { type -P "$1" >/dev/null; }

# The race detector is C. Headers may be missing where the compiler is not.
can_race() {
  has "$GO" || return 1
  local cc dir
  [ "${CGO_ENABLED:-1}" = 1 ] || return 1
  cc=$("$GO" env CC) && [ -n "$cc" ] && has "${cc%% *}" || return 1
  dir=$(mktemp -d) || return 1
  printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' > "$dir/try.c"
  $cc -o "$dir/try" "$dir/try.c" 2>/dev/null
  local works=$?
  rm -r "$dir"
  return "$works"
}

compiler="a C compiler and its headers (Debian, Ubuntu: apt-get install gcc libc6-dev; Fedora: dnf install gcc glibc-devel; macOS: xcode-select --install)"

if [ "${1:-}" = race ]; then
  if can_race; then
    echo -race
  else
    echo "WARNING: no C compiler works here, so the tests run WITHOUT the race detector. It needs $compiler." >&2
  fi
  exit 0
fi

missing=()
if ! has "$GO"; then
  missing+=("Go, as go.mod names it: https://go.dev/dl/")
elif ! said=$("$GO" version 2>&1); then
  missing+=("another Go than the one that is here: ${said//$'\n'/ }. See https://go.dev/dl/")
fi
wanted=20.19
if ! has node; then
  missing+=("Node $wanted or later, for the published clients and the console: https://nodejs.org/ (Debian, Ubuntu: apt-get install nodejs npm)")
else
  version=$(node --version)
  oldest=$(printf '%s\n%s\n' "$wanted" "${version#v}" | sort -V | head -n 1)
  [ "$oldest" = "$wanted" ] || missing+=("Node $wanted or later, for the published clients and the console; this is $version: https://nodejs.org/")
fi
has npm || missing+=("npm, which comes with Node (Debian, Ubuntu: apt-get install npm)")
has git || missing+=("git, by which the tests of the sources list them: https://git-scm.com/ (Debian, Ubuntu: apt-get install git)")
browser=${CHROMIUM:-}
for name in chromium chromium-browser google-chrome; do
  [ -n "$browser" ] || browser=$(type -P "$name") || true
done
[ -n "$browser" ] || missing+=("Chromium, in which the console is used (Debian, Ubuntu: apt-get install chromium; elsewhere put its program's name into CHROMIUM)")
for tool in bash curl grep sed; do
  has "$tool" || echo "WARNING: without $tool the tour of README.md is not tried." >&2
done
for tool in nginx haproxy caddy; do
  has "$tool" || echo "WARNING: without $tool its configuration in configs/proxies is not tried." >&2
done
can_race || echo "WARNING: without a C compiler the tests run WITHOUT the race detector. It needs $compiler." >&2
if [ ${#missing[@]} -gt 0 ]; then
  echo "make test needs, and this machine does not have:" >&2
  printf '  - %s\n' "${missing[@]}" >&2
  exit 1
fi

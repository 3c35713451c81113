#!/bin/sh
# Fetches a Chromium for the browser tests where this machine can have one: Debian's package, or Playwright's own build.
# Never fails: the tests say what they lack, and fail for it with QILTEST_BROWSER=require.
python=${1:-python3}

found() {
    if [ -n "$QILTEST_CHROMIUM" ]; then
        test -x "$QILTEST_CHROMIUM"
        return
    fi
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    "$python" -c '
import os, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as driver:
    sys.exit(not os.path.exists(driver.chromium.executable_path))' 2>/dev/null
}

debian() {
    # Ubuntu has no such package but a snap, which does not start in a container
    command -v apt-get >/dev/null 2>&1 && grep -qs '^ID=debian' /etc/os-release || return 1
    root=
    if [ "$(id -u)" != 0 ]; then
        root="sudo -n"
        $root true 2>/dev/null || return 1
    fi
    waits="-o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o Acquire::Retries=1 -o DPkg::Lock::Timeout=120"
    # shellcheck disable=SC2086
    timeout 600 $root apt-get update -qq $waits >/dev/null 2>&1
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive timeout 900 $root apt-get install -y -qq --no-install-recommends $waits chromium >/dev/null 2>&1
}

if found; then exit 0; fi
echo "fetching Chromium for the browser tests"
debian || timeout 600 "$python" -m playwright install chromium >/dev/null 2>&1
found || echo "no Chromium: the browser tests will not run; install chromium, or name one in QILTEST_CHROMIUM"
exit 0

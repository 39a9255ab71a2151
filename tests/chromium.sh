#!/bin/sh
# Gets the browser that the portal's tests drive: one that is there, Debian's package for root, else Playwright's own.
set -eu
for name in chromium chromium-browser google-chrome-stable google-chrome; do
	if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "Installing Chromium for the portal's tests (once) ..." >&2
	apt-get -qq update
	if DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core >/dev/null; then
		exit 0
	fi
fi
if "$1" -m playwright install chromium >/dev/null; then exit 0; fi
echo "The portal's tests need a browser: install Chromium (Debian: apt install chromium), then call make again." >&2
exit 1

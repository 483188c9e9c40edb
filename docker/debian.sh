# shellcheck shell=bash
# Sourced by the scripts beside it: packages of any release of Debian, without touching the machine's own configuration.

# The mirror that serves base-files is the one with the main archive, in whatever style the sources are written.
apt_mirror() {
  { apt-get --print-uris download base-files 2>/dev/null || true; } | sed -n "s|^'\(.*\)/pool/.*|\1|p"
}

# private_apt FOLDER LINE...: update lists of sources that are kept in FOLDER. What makes apt-get use them, and take
# nothing for installed, lands in apt_options. apt checks signatures as ever.
private_apt() {
  mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
  printf '%s\n' "${@:2}" >"$1/sources.list"
  : >"$1/status"
  # shellcheck disable=SC2034 # for the caller
  apt_options=(-o "Dir::Etc::sourcelist=$1/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::Lists=$1/lists"
    -o "Dir::State::status=$1/status" -o "Dir::Cache=$1/cache")
  apt-get "${apt_options[@]}" -o APT::Update::Error-Mode=any update
}

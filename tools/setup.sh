#!/usr/bin/env bash
# setup.sh - from a fresh clone to a running Tercet, with one command.
# Usage:
#   tools/setup.sh deps           install what Tercet needs, then build it in build/
#   tools/setup.sh demo [ARG...]  deps, then build/tercet demo ARG... (its data: the cache)
#   tools/setup.sh test           deps, then every test: gcc, clang, sanitizers, analysers
#   tools/setup.sh analyse        deps, then cppcheck and all of clang-tidy over every file
#   tools/setup.sh threads        deps, then the tests with threads in them under ThreadSanitizer
#
#   TERCET_CACHE=DIR              keeps the libraries built here (default: .cache in the project)
#
# Installs the distribution's packages (Debian 12 and 13, Ubuntu 24.04; elsewhere it says what is
# missing), builds llhttp where there is no package of it, then Tercet. Writes nowhere but through
# the package manager, in the cache and in the build folders. What is there already is kept, so a
# second run takes seconds and needs neither the network nor root.
set -euo pipefail
shopt -s nullglob
export LC_ALL=C CC=${CC:-gcc}

usage() { sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
say() { printf '==> %s\n' "$*"; }
die() { printf 'setup.sh: %s\n' "$*" >&2; exit 1; }

# logged NAME COMMAND...: output goes to a log; its end is shown when the command fails.
logged() {
    local log="$cache/log/$1.log"
    shift
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 40 "$log" >&2
        die "failed: $* (the whole output: $log)"
    fi
}

# ---- packages --------------------------------------------------------------------------------

# One line a purpose: what it is for | its packages.
packages_wanted() {
    echo 'to compile|gcc g++ meson ninja-build pkg-config'
    echo 'matrix products|libopenblas-dev'
    echo 'the index on disk|liblmdb-dev libroaring-dev libxxhash-dev libzstd-dev'
    echo 'text and JSON|libutf8proc-dev libstemmer-dev libjansson-dev zlib1g-dev libxml2-dev'
    echo 'the server|libuv1-dev'
    echo 'pulling models|libcurl4-openssl-dev libssl-dev ca-certificates'
    if offers_package libllhttp-dev; then echo 'HTTP parsing|libllhttp-dev'; fi
    # The sanitizers come with gcc.
    if [[ $command == test || $command == analyse ]]; then
        echo 'the analysers|clang cppcheck clang-tidy'
    fi
    if [[ $command == test ]]; then
        echo 'the tests|clang curl python3 python3-venv poppler-utils'
        # Ubuntu's package only fetches a snap; there Playwright brings a Chromium of its own.
        if [[ $os_id == debian ]]; then echo 'the page in a browser|chromium fonts-dejavu-core'; fi
    fi
}

has_package() { [[ $(dpkg-query -W -f='${Status}' "$1" 2>/dev/null) == 'install ok installed' ]]; }
offers_package() { has_package "$1" || apt-cache show "$1" >/dev/null 2>&1; }

# The wanted lines, less what is installed.
packages_missing() {
    local purpose packages package missing
    while IFS='|' read -r purpose packages; do
        missing=''
        for package in $packages; do
            has_package "$package" || missing+=" $package"
        done
        if [[ $missing ]]; then printf '%s|%s\n' "$purpose" "${missing# }"; fi
    done < <(packages_wanted)
}

as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

install_packages() {
    local names
    mapfile -t names < <(missing_names)
    ((${#names[@]})) || return 0
    if ((EUID != 0)) && ! command -v sudo >/dev/null; then
        die "this needs root, and there is no sudo. As root, run once:
    apt-get update && apt-get install --no-install-recommends ${names[*]}"
    fi
    say 'reading the package lists (apt-get update)'
    as_root apt-get -qq update || say 'not all lists could be read; going on with what is known'
    mapfile -t names < <(missing_names) # the new lists may offer more
    say 'installing from the distribution:'
    packages_missing | awk -F'|' '{ printf "      %-20s %s\n", $1, $2 }'
    logged packages as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q \
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 install --no-install-recommends "${names[@]}"
}

missing_names() { packages_missing | cut -d'|' -f2 | tr ' ' '\n'; }

# On a system this script can't install for: the same needs, looked for by what they provide.
check_by_hand() {
    local missing=() name
    for name in gcc g++ meson ninja pkg-config; do
        command -v "$name" >/dev/null || missing+=("the command $name")
    done
    for name in openblas libzstd libxxhash libutf8proc jansson zlib libxml-2.0 libuv libllhttp libcurl \
        libcrypto; do
        pkg-config --exists "$name" 2>/dev/null || missing+=("the library $name (by pkg-config)")
    done
    for name in lmdb.h roaring/roaring.h libstemmer.h; do
        has_header "$name" || missing+=("the header <$name> and its library")
    done
    ((${#missing[@]})) || return 0
    die "packages are installed for you on Debian 12, Debian 13 and Ubuntu 24.04; this is $os_name.
Install these with your package manager, then run this again:
$(printf '  - %s\n' "${missing[@]}")
Debian's names: $(packages_wanted | cut -d'|' -f2 | tr '\n' ' ')"
}

has_header() { echo "#include <$1>" | gcc -E -x c - >/dev/null 2>&1; }

# ---- packages that are not installed -----------------------------------------------------------

# apt gets sources and lists of its own, drawn from the machine's entries: nothing that is
# downloaded to be unpacked touches the system's configuration.
private_apt() {
    local apt="$scratch/apt"
    "$1" -q -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=- \
        -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" \
        -o Acquire::Languages=none -o APT::Sandbox::User=root "${@:2}"
}

# Half-made things live in one folder, emptied before and after; it holds private_apt's lists too.
make_scratch() {
    trap 'rm -rf "$scratch"' EXIT
    mkdir -p "$scratch/apt/lists/partial" "$scratch/apt/cache/archives/partial"
    distribution_sources >"$scratch/apt/sources.list"
    [[ -s $scratch/apt/sources.list ]] || die "apt knows no source of $os_name's own packages"
    logged sources private_apt apt-get update
}

# apt itself reads every format of its sources. Kept: this release, its updates and its security
# fixes; other releases, backports and other people's archives are not.
distribution_sources() {
    local uri suite codename component origin options=''
    local keyring="/usr/share/keyrings/$os_id-archive-keyring.gpg"
    if [[ -e $keyring ]]; then options="[signed-by=$keyring] "; fi
    # shellcheck disable=SC2016 # apt fills these in
    local targets format='$(REPO_URI) $(RELEASE) $(CODENAME) $(COMPONENT) $(ORIGIN)'
    targets=$(apt-get indextargets --format "$format" 'Created-By: Packages')
    if [[ -z $targets ]]; then # no lists downloaded: apt leaves CODENAME and ORIGIN as they stand
        targets=$(apt-get indextargets --no-release-info --format "$format" 'Created-By: Packages')
    fi
    printf '%s\n' "$targets" |
        while read -r uri suite codename component origin; do
            if [[ $codename == \$* ]]; then codename=$suite; fi
            if [[ $origin == \$* ]]; then origin=$os_id; fi
            if [[ ${origin,,} == "$os_id" &&
                $codename =~ ^$os_codename(-updates|-security)?$ ]]; then
                echo "deb $options$uri $suite $component"
            fi
        done | sort -u
}

# ---- libraries built here --------------------------------------------------------------------

# Built for any processor of this architecture, as Tercet is, and hardened like it (meson.build).
library_flags=(-O3 -fPIC -fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE
    -D_FORTIFY_SOURCE=3)

# Names what a built library depends on: the release, the architecture, the compiler, the flags. A
# cache folder carried to another machine is not used by mistake.
build_key() {
    {
        echo "$os_id $os_version $(uname -m) ${library_flags[*]} $*"
        gcc -dumpfullversion
    } | sha256sum | cut -c1-12
}

# Sets `built` to the folder NAME-VERSION-KEY in the cache, made by `build_NAME` when it is not
# there. It is renamed when whole, so an interrupted build is never taken for a finished one.
provide() {
    local name=$1 key=$2 found=("$cache/$1"-*-"$2")
    if ((${#found[@]})); then
        built=${found[0]}
        return
    fi
    if [[ ! -d $scratch/apt ]]; then make_scratch; fi
    mkdir "$scratch/$name"
    cd "$scratch/$name"
    "build_$name"
    built="$cache/$name-$(<version)-$key"
    mv -T out "$built"
    cd "$root"
}

# build_*: leave the release in `version` and what is to be kept in `out` (lib, include).
#
# Debian 12 has llhttp only as C sources inside a package for Node.js, which is unpacked here and
# not installed: that would bring Node.js along.
build_llhttp() {
    say 'building llhttp'
    logged llhttp-source private_apt apt-get download node-llhttp
    dpkg-deb -f node-llhttp_*.deb Version | sed 's/[~+].*//' >version
    dpkg-deb -x node-llhttp_*.deb unpacked
    mkdir -p out/lib out/include
    cp unpacked/usr/share/include/llhttp/llhttp.h out/include/
    logged llhttp gcc "${library_flags[@]}" -Iout/include -c \
        unpacked/usr/share/llhttp/{api,http,llhttp}.c
    ar rcs out/lib/libllhttp.a api.o http.o llhttp.o
}

# write_pc NAME PREFIX LIBS: what dependency('NAME') in meson.build finds.
write_pc() {
    [[ $2 =~ -([0-9.]+)- ]] || BASH_REMATCH=('' 0)
    printf '%s\n' "Name: $1" 'Description: provided by tools/setup.sh' \
        "Version: ${BASH_REMATCH[1]}" "Cflags: -I\"$2/include\"" "Libs: -L\"$2/lib\" $3" \
        >"$cache/pkgconfig/$1.pc"
}

provide_libraries() {
    local built=/usr/local
    rm -rf "$scratch"
    if ! pkg-config --exists libllhttp; then
        provide llhttp "$(build_key)"
        write_pc libllhttp "$built" -lllhttp
    fi
    rm -rf "$scratch"
}

# ---- Tercet ----------------------------------------------------------------------------------

# configure FOLDER OPTION...: also when it exists, since a library may have moved.
configure() {
    local folder=$1 again=()
    if [[ -e $folder/meson-private/coredata.dat ]]; then
        meson configure --clearcache "$folder" >/dev/null
        again=(--reconfigure)
    fi
    meson setup "${again[@]}" "$folder" "-Dpkg_config_path=$cache/pkgconfig" "${@:2}"
}

deps() {
    exec 9>"$cache/lock"
    flock --nonblock 9 || { say 'waiting for another run of setup.sh' && flock 9; }
    case "$os_id $os_version" in
    'debian 12' | 'debian 13' | 'ubuntu 24.04') timed 'packages' install_packages ;;
    *) check_by_hand ;;
    esac
    timed 'libraries' provide_libraries
    timed 'configuring' logged configure configure build --buildtype=release
    timed 'building' ninja -C build
    if [[ -e build/tools/tercet ]]; then ln -sf tools/tercet build/tercet; fi # shorter to type
    exec 9>&-
}

# timed WHAT COMMAND...
timed() {
    local start=$SECONDS
    "${@:2}"
    say "$1: $((SECONDS - start)) s"
}

# ---- tests -----------------------------------------------------------------------------------

passed=0 failed=0 skipped=0

# test_run WHAT FOLDER OPTIONS ARGUMENT...: configures FOLDER with OPTIONS, builds it, runs
# `meson test ARGUMENT...` in it and adds to the counts.
test_run() {
    local what=$1 folder=$2 options status=0 start=$SECONDS log="$cache/log/$2-test.log"
    read -ra options <<<"$3"
    say "$what: building and testing in $folder"
    {
        (logged "configure-$folder" configure "$folder" "${options[@]}") &&
            ninja --quiet -C "$folder" &&
            meson test -C "$folder" --no-rebuild --print-errorlogs "${@:4}"
    } 2>&1 | tee "$log" || status=1
    count_results "$log" "$status"
    say "$what: $((SECONDS - start)) s"
}

# Adds up meson's closing lines. A run that failed without naming a failed test (it did not build,
# or the runner died) counts as one failure.
count_results() {
    local ok bad skip
    read -r ok bad skip < <(awk '
        /^(Ok|Expected Fail): /              { ok += $NF }
        /^(Fail|Unexpected Pass|Timeout): /  { bad += $NF }
        /^Skipped: /                         { skip += $NF }
        END                                  { print ok + 0, bad + 0, skip + 0 }' "$1")
    if (($2 != 0 && bad == 0)); then bad=1; fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
}

# The clients of other servers that tests/clients.py tries on ours, the frameworks and the type
# checker of tests/python_client.py, schemathesis, which tests/described.py makes requests with,
# trec_eval's code for tests/eval_agrees.py and scikit-learn for tests/tasks_agree.py. They come from
# PyPI and are for the tests alone: without them those leave out what needs them, or are skipped.
test_clients=(openai langchain-openai huggingface_hub cohere
    llama-index-embeddings-text-embeddings-inference schemathesis pytrec-eval-terrier
    scikit-learn langchain-core llama-index-core mypy)

provide_clients() {
    [[ $(cat "$cache/clients/whole" 2>/dev/null) != "${test_clients[*]}" ]] || return 0
    say 'installing clients for the tests (from PyPI, into the cache)'
    if python3 -m venv --clear "$cache/clients" >"$cache/log/clients.log" 2>&1 &&
        "$cache/clients/bin/pip" install --quiet "${test_clients[@]}" >>"$cache/log/clients.log" 2>&1
    then
        echo "${test_clients[*]}" >"$cache/clients/whole"
    else
        say "they can't be had (see $cache/log/clients.log): the test of them is skipped"
        rm -rf "$cache/clients"
    fi
}

# Playwright and axe-core for tests/browser.py, and a Chromium where the distribution has none.
provide_browser() {
    [[ ! -e $cache/browser/whole ]] || return 0
    say 'installing Playwright for the tests (from PyPI, into the cache)'
    local log="$cache/log/browser.log" python="$cache/browser/bin/python"
    if python3 -m venv --clear "$cache/browser" >"$log" 2>&1 &&
        "$python" -m pip install --quiet playwright axe-playwright-python >>"$log" 2>&1 && {
        command -v chromium >/dev/null ||
            PLAYWRIGHT_BROWSERS_PATH=$cache/browser/browsers \
                "$python" -m playwright install chromium >>"$log" 2>&1
    }; then
        touch "$cache/browser/whole"
    else
        say "no browser can be had (see $log): the test of the page in it is skipped"
        rm -rf "$cache/browser"
    fi
}

# analyse quick|deep: one test more that passed or failed.
analyse() {
    local log="$cache/log/analyse.log" start=$SECONDS
    say "analysers, $1: ${log##*/}"
    if (CC=clang logged configure-analyse configure build-clang --buildtype=release -Dwerror=true) &&
        tools/analyse/analyse.sh build-clang "$1" >"$log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        tail -n 60 "$log" >&2
    fi
    say "analysers: $((SECONDS - start)) s"
}

run_analyse() {
    analyse deep
    echo "$passed passed, $failed failed, $skipped skipped"
    ((failed == 0))
}

run_tests() {
    provide_clients
    provide_browser
    test_run 'gcc' build --buildtype=release
    CC=clang test_run 'clang' build-clang '--buildtype=release -Dwerror=true' --suite fast
    analyse quick
    test_run 'address and undefined sanitizers' build-asan \
        '--buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false' \
        --suite fast --suite slow -t 6
    echo "$passed passed, $failed failed, $skipped skipped"
    ((failed == 0 && passed > 0))
}

# Apart from run_tests: some kernels give a process addresses that ThreadSanitizer cannot use.
run_thread_tests() {
    test_run 'thread sanitizer' build-tsan \
        '--buildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false' -t 10 \
        base_test cores_test encoder_test models_golden_test pipeline_test server_test \
        server_load_test
    echo "$passed passed, $failed failed, $skipped skipped"
    ((failed == 0 && passed > 0))
}

# ---- main ------------------------------------------------------------------------------------

command=${1:-}
case "$command" in
deps | test | analyse | threads) (($# == 1)) || usage ;;
demo) ;;
*) usage ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${TERCET_CACHE:-$root/.cache}
mkdir -p "$cache/log" "$cache/pkgconfig"
cache=$(cd "$cache" && pwd)
scratch="$cache/scratch"
cd "$root"

# shellcheck disable=SC1091 # the system's own file
os_release() { (. /etc/os-release 2>/dev/null && echo "${!1:-unknown}") || echo unknown; }
os_id=$(os_release ID) os_version=$(os_release VERSION_ID)
os_codename=$(os_release VERSION_CODENAME) os_name=$(os_release PRETTY_NAME)

deps
case "$command" in
demo) exec ./build/tercet demo --data "$cache/demo" "${@:2}" ;;
test) run_tests ;;
analyse) run_analyse ;;
threads) run_thread_tests ;;
esac

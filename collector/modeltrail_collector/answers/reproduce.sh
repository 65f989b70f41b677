# From here on the script is the same for every model.

say() { printf '%s\n' "$*"; }

stop() {
    printf '%s\n' "$*" >&2
    exit 2
}

# What cannot be done as it was: the end, unless the reader wants to see how far it goes.
doubt() {
    [ "${REPRODUCE_ANYWAY:-}" = 1 ] || stop "$* Set REPRODUCE_ANYWAY=1 to go on all the same."
    say "$* It goes on all the same."
}

# bring RELATIVE: what git does not hold, from where it lay when the model was made.
bring() {
    if [ ! -e "$src/$1" ] && [ -n "$root" ] && [ -e "$root/$1" ]; then
        mkdir -p -- "$(dirname -- "$src/$1")"
        cp -R -- "$root/$1" "$src/$1"
    fi
}

# Where nothing was recorded that could be compared, nothing differs either.
check() {
    if modeltrail reproduce --recipe "$work/recipe.json" --check "$src" --python "$python" "$@" >"$work/check.txt"; then
        cat "$work/check.txt"
    else
        cat "$work/check.txt"
        grep -q ': nothing could be compared$' "$work/check.txt"
    fi
}

fetch_code() {
    say "1/5 code: commit $commit of ${repository:-$root}"
    if ! { [ -n "$repository" ] && git clone --quiet --no-checkout -- "$repository" "$src"; }; then
        [ -n "$root" ] && [ -e "$root/.git" ] || stop "The repository cannot be cloned: set REPRODUCE_REPOSITORY."
        git clone --quiet --no-checkout -- "$root" "$src"
    fi
    if ! git -C "$src" cat-file -e "$commit^{commit}" 2>/dev/null; then
        # A commit that was never pushed is still where it was made.
        if ! { [ -n "$root" ] && [ -e "$root/.git" ] && git -C "$src" fetch --quiet -- "$root" "$commit"; }; then
            stop "Commit $commit is not in $repository: set REPRODUCE_REPOSITORY to a clone that has it."
        fi
    fi
    git -C "$src" -c advice.detachedHead=false checkout --quiet --detach "$commit"
    if [ -e "$src/.gitmodules" ]; then
        git -C "$src" submodule --quiet update --init --recursive
    fi
    if [ -e "$work/changes.diff" ]; then
        git -C "$src" apply --index --whitespace=nowarn "$work/changes.diff"
        say "    with the uncommitted changes of that time"
    fi
}

make_environment() {
    if [ -n "${REPRODUCE_PYTHON:-}" ]; then
        say "3/5 environment: $python, as it is"
        return
    fi
    say "3/5 environment: $work/venv"
    grep -q . "$work/requirements.txt" || doubt "No package to install was recorded: set REPRODUCE_PYTHON."
    "$python" -m venv "$work/venv"
    python=$work/venv/bin/python
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$work/requirements.txt" ||
        stop "Set REPRODUCE_PYTHON to a Python that has them, or PIP_FIND_LINKS to a folder of their files."
    if [ -n "${REPRODUCE_PACKAGES:-}" ]; then
        # shellcheck disable=SC2086  # several words
        "$python" -m pip install --quiet --disable-pip-version-check --no-deps $REPRODUCE_PACKAGES
    fi
    need_packages
}

# need NAME: a package that is not from an index, which nothing above has brought.
need() {
    "$python" -m pip --disable-pip-version-check show --quiet "$1" 2>/dev/null ||
        doubt "$1 is not from an index: name its folder or wheel in REPRODUCE_PACKAGES, or set REPRODUCE_PYTHON."
}

find_python() {
    if [ -n "${REPRODUCE_PYTHON:-}" ]; then
        python=$(command -v "$REPRODUCE_PYTHON") || stop "REPRODUCE_PYTHON is $REPRODUCE_PYTHON, which is no program."
        return
    fi
    for name in ${python_version:+"python$python_version"} python3 python; do
        if python=$(command -v "$name"); then return; fi
    done
    stop "There is no Python on PATH: set REPRODUCE_PYTHON."
}

# The new run is recorded in a log of its own: no event of it goes where the first one's went.
keep_events_here() {
    for name in $(env | sed -n 's/^\(OPENLINEAGE[A-Za-z0-9_]*\)=.*/\1/p'); do
        unset "$name"
    done
    printf 'transport:\n  type: modeltrail.LocalTransport\n' >"$work/openlineage.yml"
    export OPENLINEAGE_CONFIG="$work/openlineage.yml"
    export MODELTRAIL_LOG="$work/lineage"
}

run_it() {
    say "4/5 run, with $python: $shown"
    prepare_places
    bin=$(dirname -- "$python")
    (
        keep_events_here
        set_variables
        PATH=$bin:$PATH
        export PATH
        cd -- "$src/$directory"
        run_command
    )
}

compare() {
    say "5/5 compare the new model with the recorded one"
    if [ -d "$work/lineage" ]; then
        modeltrail compact --log "$work/lineage" >"$work/compact.txt"
        set -- --result "$work/lineage" --section data
    else
        set --
    fi
    check --section model "$@"
}

command -v git >/dev/null || stop "git is not on PATH."
command -v modeltrail >/dev/null || stop "modeltrail is not on PATH: pip install 'modeltrail[collector]'"
say "$title: to be made again in $work"
tell_problems
find_python
mkdir -- "$work" || stop "Name a folder that does not exist yet: sh $0 FOLDER"
work=$(cd -- "$work" && pwd)
src=$work/src
repository=${REPRODUCE_REPOSITORY:-$repository}
write_files
fetch_code
bring_files
say "2/5 data and code, before anything runs"
if ! check --section code --section data; then
    if [ "${REPRODUCE_ANYWAY:-}" != 1 ]; then
        say "What is here is not what was recorded: nothing was run. Set REPRODUCE_ANYWAY=1 to run it." >&2
        exit 1
    fi
fi
make_environment
(set_variables && check --section environment) ||
    say "    the environment differs: the digest will tell whether that matters"
run_it
if compare; then
    if grep -q '^  model  *digest  *not recorded$' "$work/check.txt"; then
        say "$title was made again: whether it is the same is not recorded."
    else
        say "$title was made again: the same bytes."
    fi
else
    say "$title was NOT made again: see above." >&2
    exit 1
fi

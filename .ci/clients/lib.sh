# lib.sh: what the client tests of the swarm share. Source it with WORK and ROCKS set.
#   repository DIR COUNT BYTES   an RPM repository of COUNT packages (pkg-001 ...), each requiring `pkg-common`
#   cluster DIR TREE COUNT       a cluster with hosts compute-0-0 ... at 127.1.0.1 ... and the tree as distribution `test`
#   install ROOT URL [OPTION...] real dnf installs all packages below ROOT: no error, every file right
#   serve, track                 start a daemon; HTTP, PEER and ANNOUNCE are its ports; both end with the test
export ROCKS_CLUSTER=$WORK/cluster
HTTP=18080 PEER=18081 ANNOUNCE=18082
pids=()
ends() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
  wait || true
}
trap ends EXIT

rocks() { "$ROCKS" "$@"; }
start() { # start LOG COMMAND...
  local log=$1
  shift
  "$@" > "$log" 2>&1 &
  pids+=($!)
}
until_true() { # until_true SECS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@" > /dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { echo "never true: $*" >&2; return 1; }
    sleep 0.1
  done
}

repository() {
  local dir=$1 count=$2 bytes=$3 spec=$WORK/pkg.spec n
  mkdir -p "$dir" "$WORK/payload"
  {
    printf 'Name: pkg\nVersion: 1\nRelease: 1\nSummary: test\nLicense: MIT\nBuildArch: noarch\n%%description\ntest\n'
    printf '%%package common\nSummary: test\n%%description common\ntest\n'
    for n in $(seq -f %03g "$count"); do
      printf '%%package %s\nSummary: test\nRequires: pkg-common\n%%description %s\ntest\n' "$n" "$n"
    done
    printf '%%install\nmkdir -p %%{buildroot}/opt/pkg\ncp %s/* %%{buildroot}/opt/pkg/\n' "$WORK/payload"
    for n in common $(seq -f %03g "$count"); do printf '%%files %s\n/opt/pkg/%s\n' "$n" "$n"; done
  } > "$spec"
  for n in common $(seq -f %03g "$count"); do head -c "$bytes" /dev/urandom > "$WORK/payload/$n"; done
  rpmbuild -bb --quiet --define "_topdir $WORK/rpmbuild" --define "_rpmdir $dir" --define "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm" \
    --define '_binary_payload w1.zstdio' "$spec" > "$WORK/rpmbuild.log" 2>&1 || { tail "$WORK/rpmbuild.log"; return 1; }
  createrepo_c -q "$dir"
}

cluster() {
  local dir=$1 tree=$2 count=$3 n
  mkdir -p "$dir/graphs/nodes" "$dir/graphs/default"
  {
    echo '<kickstart>'
    for rpm in "$tree"/pkg-[0-9]*.rpm; do
      n=${rpm##*/pkg-}
      echo "<package>pkg-${n%%-*}</package>"
    done
    echo '</kickstart>'
  } > "$dir/graphs/nodes/tested.xml"
  echo '<graph><edge from="tested-root" to="tested"/></graph>' > "$dir/graphs/default/tested.xml"
  echo '<kickstart><main><lang>en_US.UTF-8</lang></main></kickstart>' > "$dir/graphs/nodes/tested-root.xml"
  rocks add-network loop 127.0.0.0/8
  rocks add-appliance tested --root tested-root
  {
    echo name,appliance,mac,ip
    for n in $(seq "$count"); do printf 'compute-0-%d,tested,52:54:00:00:00:%02x,127.1.0.%d\n' $((n - 1)) "$n" "$n"; done
  } | rocks add-host --from -
  rocks add-distribution test "$tree" --release rhel9
}

serve() {
  start "$WORK/serve.log" "$ROCKS" serve --listen "127.0.0.1:$HTTP" --peer-port "$PEER"
  until_true 20 curl -sf "http://127.0.0.1:$HTTP/status.json"
}
track() {
  start "$WORK/track.log" "$ROCKS" track --listen "127.0.0.1:$ANNOUNCE"
  until_true 20 bash -c "exec 3<> /dev/tcp/127.0.0.1/$ANNOUNCE"
}
install() { # install ROOT URL [DNF_OPTION...]: all packages, with the dnf.conf that we ship to the installer
  local root=$1 url=$2 conf
  conf=$(dirname "$0")/../../templates/dnf.conf.j2
  shift 2
  mkdir -p "$root/var/log" "$root/etc"
  HOME=$root/root dnf --config "$conf" --installroot="$root" --releasever=9 --setopt=reposdir=/none \
    --setopt=cachedir="$root/cache" --setopt=logdir=/var/log --setopt=module_platform_id=platform:el9 \
    --setopt=keepcache=0 --setopt=install_weak_deps=0 --repofrompath="test,$url" --repo=test "$@" \
    -y -q install pkg-'*' > "$root.log" 2>&1 || { tail -20 "$root.log"; return 1; }
  # Not one download failed, or was tried twice.
  ! grep -i error "$root.log" "$root/var/log/dnf.librepo.log" || return 1
  [ -z "$(grep -o 'Downloading: .*' "$root/var/log/dnf.librepo.log" | sort | uniq -d)" ] || return 1
  diff -rq "$WORK/payload" "$root/opt/pkg"
}

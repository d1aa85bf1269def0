#!/usr/bin/env bash
# vmrun.sh COMMAND...   Run a shell command as root on Debian's own kernel, which has netem and loadable modules. The
#                       kernel runs in qemu without hardware help, on this machine's root file system: read-only, below
#                       a throw-away tmpfs. The command's output and exit status are passed on.
# $VM          work folder (default ~/.cache/lipline-vm): the kernel, unpacked once, and the initramfs
# $VM_OUT      folder that the guest may write to (default a fresh one); the command sees it as $OUT
# $VM_CAMERA   1: build v4l2loopback for that kernel, once, so that the guest can `modprobe v4l2loopback`, and the same
#              under a second name, `modprobe webcam_loopback`, which can be taken away while the first one is in use
# $VM_LOOPBACK the release of Debian whose v4l2loopback that is, as bookworm-backports, trixie or sid (this machine's own)
# $VM_TIMEOUT  seconds until the guest is stopped (300)   $VM_MEM memory (2G)   $VM_CPU qemu's model of the processor
# $VM_SLOW     how many of our seconds one of the guest's lasts (1): with 16, what runs there seems 16 times as fast
# Exit status: the command's; 124 when time ran out; 125 when the guest never got as far as the command.
set -euo pipefail
VM=${VM:-${XDG_CACHE_HOME:-$HOME/.cache}/lipline-vm}
TREE=$VM/tree
BUSYBOX=$TREE/bin/busybox

unpack_kernel() {  # -> prints the kernel's release
  mkdir -p "$VM/debs" "$TREE"
  cd "$VM/debs"
  local release package
  release=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: linux-image-//p' | head -1)
  [ -n "$release" ] || { echo "apt knows no linux-image-amd64: run apt-get update" >&2; return 1; }
  apt-get download -q "linux-image-$release" busybox-static >&2
  for package in *.deb; do dpkg -x "$package" "$TREE"; done
  "$BUSYBOX" depmod -b "$TREE" "$release"
  echo "$release"
}

# A kernel that is already unpacked boots directly (PVH): to unpack it under emulation takes longer than all the rest.
unpack_image() {  # FROM TO
  python3 - "$1" "$2" <<'PY'
import lzma, sys
image = open(sys.argv[1], "rb").read()
start = image.index(b"\xfd7zXZ\0")
open(sys.argv[2], "wb").write(lzma.LZMADecompressor().decompress(image[start:]))
PY
}

# The initramfs holds busybox, the modules that mount the root, and a script that does so.
make_initramfs() {  # RELEASE
  local tree=$VM/initramfs modules=$TREE/lib/modules/$1 module
  rm -rf "$tree"
  mkdir -p "$tree"/{bin,dev,proc,sys,low,up,root,m}
  cp "$BUSYBOX" "$tree/bin/"
  : > "$tree/m/order"
  for module in virtio_pci 9pnet_virtio 9p overlay virtio_console; do
    # A line of modules.dep names a module, then what it needs, the deepest last.
    awk -v m="/$module.ko:" 'index($1,m){sub(":","",$1); for(i=NF;i>=1;i--) print $i}' "$modules/modules.dep"
  done | awk '!seen[$0]++' | while read -r module; do
    cp "$modules/$module" "$tree/m/"
    echo "${module##*/}" >> "$tree/m/order"
  done
  cat > "$tree/init" <<'INIT'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
for m in $($b cat /m/order); do $b insmod /m/$m || echo "insmod $m failed"; done
o=trans=virtio,version=9p2000.L,msize=512000
$b mount -t 9p -o ro,cache=loose,$o hostroot /low || $b reboot -f
$b mount -t tmpfs tmpfs /up; $b mkdir /up/u /up/w
$b mount -t overlay -o lowerdir=/low,upperdir=/up/u,workdir=/up/w root /root || $b reboot -f
cd /root; $b mkdir -p proc sys dev tmp run mnt/out lib/modules
$b mount -t proc proc proc; $b mount -t sysfs sys sys; $b mount -t devtmpfs dev dev
$b mkdir -p dev/shm dev/pts; $b mount -t tmpfs shm dev/shm; $b mount -t devpts pts dev/pts; $b mount -t tmpfs run run
$b mount -t 9p -o cache=none,$o out mnt/out || $b reboot -f
$b cp /bin/busybox run/busybox
exec $b switch_root . /run/busybox sh /mnt/out/.guest
INIT
  chmod +x "$tree/init"
  (cd "$tree"; find . | "$BUSYBOX" cpio -o -H newc 2>/dev/null | gzip -1 > "$VM/initrd.gz")
}

prepare() {
  local release
  release=$(unpack_kernel)
  unpack_image "$TREE/boot/vmlinuz-$release" "$VM/vmlinux"
  make_initramfs "$release"
  echo "$release" > "$VM/ready"
}

# apt with a list of its own, so that this machine's is left as it is.
apt_of_release() {  # RELEASE COMMAND...
  local lists=$VM/apt-$1 mirror
  mkdir -p "$lists/lists/partial" "$lists/cache/archives/partial"
  # The mirror is the one that this machine is set up with, whichever that is.
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' 'Created-By: Packages' | sed -n 's/ main$//p' | head -1)
  [ -n "$mirror" ] || { echo "apt is set up with no Debian archive (component main) to take $1 from" >&2; return 1; }
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" > "$lists/sources.list"
  apt-get -q -o Dir::Etc::sourcelist="$lists/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$lists/lists" \
    -o Dir::Cache="$lists/cache" -o Acquire::Languages=none -t "$1" "${@:2}"
}

# The guest kernel's own headers are unpacked, not installed: they name each other by where they would be.
unpack_headers() {
  local release package
  release=$(cat "$VM/ready")
  mkdir -p "$VM/debs-headers"
  cd "$VM/debs-headers"
  apt-get download -q "linux-headers-$release" "linux-headers-${release%-amd64}-common" \
    "linux-kbuild-$(echo "$release" | cut -d. -f1-2)"
  for package in *.deb; do dpkg -x "$package" "$TREE"; done
  sed -i "s#include /usr/src#include $TREE/usr/src#" "$TREE/usr/src/linux-headers-$release/Makefile"
  touch "$VM/ready-headers"
}

# The module comes as source. It is built twice, the second time as webcam_loopback.
build_loopback() {  # FOLDER
  local release modules name
  release=$(cat "$VM/ready")
  modules=$TREE/lib/modules/$release
  rm -rf "$1"
  mkdir -p "$1"
  cd "$1"
  if [ -n "${VM_LOOPBACK:-}" ]; then
    apt_of_release "$VM_LOOPBACK" update
    apt_of_release "$VM_LOOPBACK" download v4l2loopback-dkms
  else
    apt-get download -q v4l2loopback-dkms
  fi
  dpkg -x v4l2loopback-dkms_*.deb source
  for name in v4l2loopback webcam_loopback; do
    cp -r source/usr/src/v4l2loopback-* "$name"
    [ -e "$name/$name.c" ] || mv "$name/v4l2loopback.c" "$name/$name.c"
    sed -i "s/v4l2loopback\.o/$name.o/" "$name"/{Makefile,Kbuild} 2>/dev/null || true
    make -s -C "$TREE/usr/src/linux-headers-$release" M="$1/$name" modules
  done
  # modprobe finds them under these names; the guest puts those that it is to have in their place.
  if [ ! -e "$modules/updates/webcam_loopback.ko" ]; then
    mkdir -p "$modules/updates"
    cp v4l2loopback/v4l2loopback.ko webcam_loopback/webcam_loopback.ko "$modules/updates/"
    "$BUSYBOX" depmod -b "$TREE" "$release"
  fi
  touch ready
}

# qemu's timers and the guest's devices run by this clock. The guest counts the processor's own ticks (rdtsc), which go on
# at their speed: it finds a processor of so many more GHz.
build_slow_clock() {
  cat > "$VM/slow.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void scaled(struct timespec *t, long multiply, long divide) {
  long long ns = (t->tv_sec * 1000000000LL + t->tv_nsec) / divide * multiply;
  t->tv_sec = ns / 1000000000LL;
  t->tv_nsec = ns % 1000000000LL;
}

static long slowness(void) {
  static long value;
  return value ? value : (value = atol(getenv("VM_SLOW")));
}

int clock_gettime(clockid_t clock, struct timespec *t) {
  int rc = syscall(SYS_clock_gettime, clock, t);
  if (!rc && clock == CLOCK_MONOTONIC) scaled(t, 1, slowness());
  return rc;
}

int ppoll(struct pollfd *files, nfds_t count, const struct timespec *wait, const sigset_t *mask) {
  struct timespec longer;
  if (wait) {
    longer = *wait;
    scaled(&longer, slowness(), 1);
  }
  return syscall(SYS_ppoll, files, count, wait ? &longer : NULL, mask, sizeof(long));
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until) {
  static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  struct timespec later = *until, now = {0, 0};
  /* Only the monotonic clock is slow: of a time of day (a date past 2001) what is left of it is stretched. */
  if (until->tv_sec > 1000000000) syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
  long long left = (until->tv_sec - now.tv_sec) * 1000000000LL + until->tv_nsec - now.tv_nsec;
  long long at = now.tv_nsec + (left > 0 ? left * slowness() : 0);
  later.tv_sec = now.tv_sec + at / 1000000000LL;
  later.tv_nsec = at % 1000000000LL;
  if (!real) real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
  return real(cond, mutex, &later);
}
C
  gcc -O2 -shared -fPIC -o "$VM/slow.so" "$VM/slow.c"
}

[ -e "$VM/ready" ] || (prepare) >&2
loopback=
if [ -n "${VM_CAMERA:-}" ]; then
  loopback=$VM/loopback${VM_LOOPBACK:+-$VM_LOOPBACK}
  [ -e "$VM/ready-headers" ] || (unpack_headers) >&2
  [ -e "$loopback/ready" ] || (build_loopback "$loopback") >&2
fi
slow=() patient=
if [ "${VM_SLOW:-1}" != 1 ]; then
  (build_slow_clock) >&2
  slow=(env "LD_PRELOAD=$VM/slow.so" "VM_SLOW=$VM_SLOW")
  # Whether timers work the kernel finds out in a time that it counts in ticks of at most 4 GHz.
  patient=no_timer_check
fi
[ $# -gt 0 ] || exit 0
release=$(cat "$VM/ready")
out=${VM_OUT:-$(mktemp -d "$VM/out.XXXX")}
mkdir -p "$out"
rm -f "$out/.rc"
printf '%s\n' "$*" > "$out/.command"
cat > "$out/.guest" <<GUEST
ln -sfn $TREE/lib/modules/$release /lib/modules/$release
[ -z "$loopback" ] || cp $loopback/*/*.ko $TREE/lib/modules/$release/updates/
# Busybox's, not this machine's: kmod reads an index (modules.dep.bin) that busybox's depmod does not write.
mkdir /run/tools
for t in modprobe rmmod lsmod; do ln -s /run/busybox /run/tools/\$t; done
/run/busybox ip link set lo up
export OUT=/mnt/out HOME=/root PATH=/run/tools:$PATH
cd $(printf %q "$PWD")
for port in /dev/vport*p1; do :; done
setsid bash /mnt/out/.command </dev/null >\$port 2>&1
echo \$? > /mnt/out/.rc
/run/busybox reboot -f
GUEST

set +e
timeout -k 5 "${VM_TIMEOUT:-300}" "${slow[@]}" qemu-system-x86_64 -machine pc,vmport=off,hpet=off -accel tcg,thread=multi \
  -cpu "${VM_CPU:-Nehalem,+aes,+pclmulqdq,+rdrand}" -smp 2 -m "${VM_MEM:-2G}" \
  -nodefaults -no-user-config -display none -no-reboot -net none \
  -kernel "$VM/vmlinux" -initrd "$VM/initrd.gz" \
  -append "console=ttyS0 quiet loglevel=4 panic=-1 reboot=t mitigations=off nokaslr no5lvl tsc=reliable audit=0 $patient" \
  -serial "file:$out/.console" \
  -device virtio-serial-pci -chardev file,id=o,path=/dev/fd/1 -device virtserialport,chardev=o \
  -virtfs local,path=/,mount_tag=hostroot,security_model=passthrough,readonly=on,multidevs=remap \
  -virtfs local,path="$out",mount_tag=out,security_model=passthrough </dev/null | cat
ended=${PIPESTATUS[0]}
[ -s "$out/.rc" ] && exit "$(cat "$out/.rc")"
cat "$out/.console" >&2
[ "$ended" = 124 ] && exit 124
exit 125

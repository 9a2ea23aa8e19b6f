"""Which file system a folder is on: a disk of this machine, or one that other hosts write to as well."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

# As Linux and macOS name them. What readers and writers of SQLite's WAL mode share is the memory of one host, and its
# locks may not reach another.
_NETWORK = re.compile(
    r"nfs[34]?|cifs|smb[23]?|smbfs|afpfs|ncpfs|webdav|davfs|9p|afs|openafs|auristorfs|coda|lustre|gpfs|mmfs|beegfs|fhgfs|"
    r"ceph|glusterfs|panfs|wekafs|quobyte|orangefs|pvfs2|moosefs|mfs|gfs2|ocfs2|acfs|xtreemfs|vboxsf|vmhgfs|prl_fs|virtiofs"
)
_FUSE = re.compile(
    r"(mac|os)?fuse.*"
)  # sshfs, rclone, s3fs, ...: a network's, but for those of this machine's own files
_OWN_FUSE = re.compile(
    r"fuseblk|fuse\.(ntfs|ntfs-3g|exfat|fuse-overlayfs|overlayfs|mergerfs|unionfs|unionfs-fuse|bindfs|gocryptfs|encfs|"
    r"cryfs|squashfuse|lxcfs|snapfuse)"
)
_MOUNTS = Path("/proc/self/mounts")


def network(path: Path) -> str:
    """`nfs4 at /home` for what lies on a network file system; empty for a disk of this machine, or where none tells."""
    whole, found, type_ = path.resolve(), Path(), ""
    for point, kind in _mounted():
        if whole.is_relative_to(point) and len(point.parts) >= len(found.parts):  # of two at one place, the later
            found, type_ = point, kind
    return f"{type_} at {found}" if is_network(type_) else ""


def is_network(kind: str) -> bool:
    """Whether a type of file system is shared by hosts, or may be."""
    return bool(_NETWORK.fullmatch(kind) or (_FUSE.fullmatch(kind) and not _OWN_FUSE.fullmatch(kind)))


def _mounted() -> Iterator[tuple[Path, str]]:
    """Where each file system is mounted, and its type, in the order in which they were."""
    if _MOUNTS.exists():
        for line in _MOUNTS.read_text(errors="surrogateescape").splitlines():
            _, point, kind, *_ = line.split(" ")
            yield Path(re.sub(r"\\(\d{3})", lambda escaped: chr(int(escaped[1], 8)), point)), kind
        return
    listed = subprocess.run(["mount"], capture_output=True, check=False).stdout  # macOS: `host:/x on /y (nfs, nodev)`
    for point, kind in re.findall(r" on (.+) \(([\w.]+)", os.fsdecode(listed)):
        yield Path(point), kind

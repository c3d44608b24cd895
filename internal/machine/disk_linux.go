package machine

import "golang.org/x/sys/unix"

// Disk is the file system under a folder, in bytes.
type Disk struct {
	Total int64  `json:"total"`
	Free  int64  `json:"free"` // for this user
	Type  string `json:"type"` // "tmpfs" lies in memory
}

// ReadDisk describes the file system under dir, which must exist.
func ReadDisk(dir string) (Disk, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return Disk{}, err
	}
	kind := map[uint32]string{
		unix.TMPFS_MAGIC: "tmpfs", unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
		unix.NFS_SUPER_MAGIC: "nfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.FUSE_SUPER_MAGIC: "fuse",
	}[uint32(s.Type)]
	return Disk{int64(s.Blocks) * s.Bsize, int64(s.Bavail) * s.Bsize, kind}, nil
}

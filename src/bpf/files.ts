// The files that belong to BPF: names in bpf file systems, which stand for objects, and what the kernel tells and is told
// through files under /proc and /sys.

/** What a name stands for: in a bpf file system a directory or a pinned object, elsewhere a directory or a file. */
export type FileKind = 'directory' | 'prog' | 'map' | 'link' | 'file';

export interface FileEntry {
  name: string;
  kind: FileKind;
}

export interface FileStat {
  kind: FileKind;
  /** Permission bits: 0o600. */
  mode: number;
  /** Owner. */
  uid: number;
  /** Bytes; 0 for what the kernel makes up when it is read. */
  size: number;
}

/**
 * Paths are absolute. What the file system refuses is a BpfError with its errno and the system call as `command`: ENOENT,
 * ENOTDIR, EEXIST, ENOTEMPTY, EACCES, EPERM, EXDEV ...
 */
export interface FileCommands {
  /** Where bpf file systems are mounted, `/sys/fs/bpf` first where it is one of them. */
  bpfMounts(): Promise<string[]>;
  /** What is in a directory, without `.` and `..`, in the order of the names. */
  fileList(path: string): Promise<FileEntry[]>;
  fileStat(path: string): Promise<FileStat>;
  /** `mode`: permission bits, 0o777 unless told otherwise; the process's mask takes some away. */
  mkdir(path: string, mode?: number): Promise<void>;
  rmdir(path: string): Promise<void>;
  /** Moves a name; what `to` stood for is gone. EXDEV between file systems. */
  rename(from: string, to: string): Promise<void>;
  /** One name more for the same object (link(2)). */
  hardLink(from: string, to: string): Promise<void>;
  /** Takes a name away, and its object with the last reference. */
  unlink(path: string): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
  /** The whole content of a file under /proc or /sys; of one without an end, as trace_pipe, what there is now. */
  readFile(path: string): Promise<Uint8Array>;
  /** Overwrites a file that exists; EINVAL or ERANGE for a value that the kernel does not take. */
  writeFile(path: string, content: Uint8Array): Promise<void>;
}

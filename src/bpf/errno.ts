// Errors below the waist are errno values: the same one that Linux gives for the same mistake.

/** Linux's numbers (asm-generic) of the errors that bpf(2) answers. */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ENOSPC: 28,
  EROFS: 30,
  EDOM: 33,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  ENOLINK: 67,
  EPROTO: 71,
  EOVERFLOW: 75,
  EILSEQ: 84,
  ENOTSOCK: 88,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENOBUFS: 105,
  EALREADY: 114,
  ESTALE: 116,
  ECANCELED: 125,
  ENOTSUPP: 524,
} as const;
export type Errno = (typeof Errno)[keyof typeof Errno];

/** Linux's words for them (strerror). */
const messages: Readonly<Record<Errno, string>> = {
  [Errno.EPERM]: 'Operation not permitted',
  [Errno.ENOENT]: 'No such file or directory',
  [Errno.ESRCH]: 'No such process',
  [Errno.EINTR]: 'Interrupted system call',
  [Errno.EIO]: 'Input/output error',
  [Errno.ENXIO]: 'No such device or address',
  [Errno.E2BIG]: 'Argument list too long',
  [Errno.EBADF]: 'Bad file descriptor',
  [Errno.EAGAIN]: 'Resource temporarily unavailable',
  [Errno.ENOMEM]: 'Cannot allocate memory',
  [Errno.EACCES]: 'Permission denied',
  [Errno.EFAULT]: 'Bad address',
  [Errno.EBUSY]: 'Device or resource busy',
  [Errno.EEXIST]: 'File exists',
  [Errno.EXDEV]: 'Invalid cross-device link',
  [Errno.ENODEV]: 'No such device',
  [Errno.ENOTDIR]: 'Not a directory',
  [Errno.EISDIR]: 'Is a directory',
  [Errno.EINVAL]: 'Invalid argument',
  [Errno.ENFILE]: 'Too many open files in system',
  [Errno.EMFILE]: 'Too many open files',
  [Errno.ENOTTY]: 'Inappropriate ioctl for device',
  [Errno.ENOSPC]: 'No space left on device',
  [Errno.EROFS]: 'Read-only file system',
  [Errno.EDOM]: 'Numerical argument out of domain',
  [Errno.ERANGE]: 'Numerical result out of range',
  [Errno.ENAMETOOLONG]: 'File name too long',
  [Errno.ENOSYS]: 'Function not implemented',
  [Errno.ENOTEMPTY]: 'Directory not empty',
  [Errno.ELOOP]: 'Too many levels of symbolic links',
  [Errno.ENODATA]: 'No data available',
  [Errno.ENOLINK]: 'Link has been severed',
  [Errno.EPROTO]: 'Protocol error',
  [Errno.EOVERFLOW]: 'Value too large for defined data type',
  [Errno.EILSEQ]: 'Invalid or incomplete multibyte or wide character',
  [Errno.ENOTSOCK]: 'Socket operation on non-socket',
  [Errno.EPROTONOSUPPORT]: 'Protocol not supported',
  [Errno.EOPNOTSUPP]: 'Operation not supported',
  [Errno.EAFNOSUPPORT]: 'Address family not supported by protocol',
  [Errno.EADDRNOTAVAIL]: 'Cannot assign requested address',
  [Errno.ENETDOWN]: 'Network is down',
  [Errno.ENOBUFS]: 'No buffer space available',
  [Errno.EALREADY]: 'Operation already in progress',
  [Errno.ESTALE]: 'Stale file handle',
  [Errno.ECANCELED]: 'Operation canceled',
  [Errno.ENOTSUPP]: 'Unknown error 524',
};

const names = new Map<number, string>(Object.entries(Errno).map(([name, value]) => [value, name]));

/** `EINVAL` for 22; `errno 999` for a number without a name here. */
export const errnoName = (errno: number): string => names.get(errno) ?? `errno ${errno}`;

/** What strerror(3) says. */
export const errnoMessage = (errno: number): string => messages[errno as Errno] ?? `Unknown error ${errno}`;

/** A bpf(2) command that failed. */
export class BpfError extends Error {
  /** Positive errno. */
  readonly errno: number;
  /** The command, in the kernel's word: `BPF_MAP_CREATE`. */
  readonly command: string;
  /** The verifier's log, when a program load left one. */
  readonly verifierLog?: string;

  /** `detail` says what exactly was wrong, beyond strerror's word. */
  constructor(command: string, errno: number, detail = '', verifierLog?: string) {
    super(`${command}: ${errnoMessage(errno)} (${errnoName(errno)})${detail ? `: ${detail}` : ''}`);
    this.name = 'BpfError';
    this.errno = errno;
    this.command = command;
    if (verifierLog !== undefined) this.verifierLog = verifierLog;
  }
}

/** A batch of map elements that failed on the way. */
export class BatchError extends BpfError {
  /** Elements that were done before. */
  readonly count: number;

  constructor(command: string, errno: number, count: number, detail = '') {
    super(command, errno, detail || `${count} elements were done before`);
    this.name = 'BatchError';
    this.count = count;
  }
}

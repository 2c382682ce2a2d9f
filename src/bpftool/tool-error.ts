// What ends a command. bpftool returns the errno of the kernel, or -1 for everything else; the shell sees it modulo 256.

/** Exit status of an error that is not the kernel's. */
export const FAILED = 255;

/** The exit status for an errno, as bpftool gives it back: 254 for ENOENT, 239 for EEXIST. */
export const statusOfErrno = (errno: number): number => -errno & 0xff;

/** Ends a command with a message (`Error: ...`, or `{"error": ...}`) and an exit status. */
export class ToolError extends Error {
  readonly status: number;
  constructor(message: string, status: number = FAILED, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.status = status;
  }
}

/** Ends a command with the usage text of its object: the arguments were not understood. */
export class UsageRequest extends Error {
  readonly status: number;
  constructor(status: number = FAILED) {
    super('usage');
    this.name = new.target.name;
    this.status = status;
  }
}

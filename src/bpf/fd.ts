// Descriptors.

/** A descriptor of a map, program, BTF object, link, iterator, perf event or file: what a kernel handed out, and takes back by `close`. */
export type Fd = number;

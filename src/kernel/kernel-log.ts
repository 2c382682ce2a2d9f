// What the kernel says of itself (Linux: printk, /dev/kmsg): the oldest messages make room for new ones.

/** Characters. */
const ROOM = 1 << 18;

const utf8 = new TextEncoder();

/** Priorities of messages (<linux/kern_levels.h>) that are used here. */
export const LogLevel = { Error: 3, Warning: 4 } as const;

export class KernelLog {
  readonly #lines: string[] = [];
  readonly #now: () => number;
  #size = 0;
  #sequence = 0;

  /** `now`: nanoseconds since the kernel started. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** One message; `text` is a line. */
  print(level: number, text: string): void {
    const line = `${level},${this.#sequence++},${Math.floor(this.#now() / 1000)},-;${text}\n`;
    this.#lines.push(line);
    this.#size += line.length;
    while (this.#size > ROOM && this.#lines.length > 1) this.#size -= this.#lines.shift()?.length ?? 0;
  }

  /** As /dev/kmsg has it: priority, number, microseconds, flags, text. */
  show(): Uint8Array {
    return utf8.encode(this.#lines.join(''));
  }
}

/** The lines of print_hex_dump: 16 bytes each, with their offset. */
export function* hexDump(prefix: string, bytes: Uint8Array): Generator<string, void, undefined> {
  for (let at = 0; at < bytes.length; at += 16) {
    const row = Array.from(bytes.subarray(at, at + 16), (byte) => byte.toString(16).padStart(2, '0'));
    yield `${prefix}${at.toString(16).padStart(8, '0')}: ${row.join(' ')}`;
  }
}

// Code that a JIT made, taken apart by those who know its language.

import { FAILED, ToolError } from '../tool-error.js';

/** An instruction of a processor, or of WebAssembly. */
export interface CodeRow {
  /** Bytes from the beginning of the function. */
  readonly pc: number;
  readonly operation: string;
  /** All operands as one text; empty without any. */
  readonly operands: string;
  /** Blocks that are open here, for those languages that have them. */
  readonly depth: number;
  readonly bytes: Uint8Array;
}

/** Loads a package that not everybody has; `what` is what needs it. */
export async function optional<T>(load: () => Promise<T>, name: string, what: string): Promise<T> {
  try {
    return await load();
  } catch (error) {
    throw new ToolError(
      `${what} needs the package ${name}, which is not installed: npm install ${name}`,
      FAILED,
      {
        cause: error,
      },
    );
  }
}

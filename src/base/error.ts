// Errors above the waist are written for a person: what was asked, what was wrong, where, what to do.

/** Bad input or a wrong request: a damaged file, an invalid instruction, an unknown name. */
export class SkepError extends Error {
  /** Where it happened: a file, section, program, instruction, offset. Empty when there is no place. */
  readonly where: string;
  /** What usually mends it, or an empty string. */
  readonly hint: string;

  constructor(message: string, options: { where?: string; hint?: string; cause?: unknown } = {}) {
    super(options.where ? `${options.where}: ${message}` : message, { cause: options.cause });
    this.name = new.target.name;
    this.where = options.where ?? '';
    this.hint = options.hint ?? '';
  }
}

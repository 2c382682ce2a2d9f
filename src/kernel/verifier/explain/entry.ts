// One row a message of the verifier: what it means for whoever wrote the program.

export interface Entry {
  /**
   * Linux's words. Groups: `reg` is the register that is blamed, `slot` the instruction when it is another than the last;
   * the words below may name any group in braces. `{was}` is what is known of the register.
   */
  readonly pattern: RegExp;
  /** A message that it is for, as Linux writes it. */
  readonly example: string;
  /** What went wrong, in a line. */
  readonly title: string;
  /** What the verifier asks for. */
  readonly required: string;
  /** What it met; what is known of the register when this is absent. */
  readonly found?: string;
  /** What usually mends it. */
  readonly mend: string;
  /** Another register than the blamed one that the fault comes from. */
  readonly origin?: 'none';
}

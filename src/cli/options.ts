// Options that several commands have.

import { InvalidArgumentError, Option } from 'commander';

/** A whole number from `low` to `high`. */
export const wholeNumber =
  (low: number, high: number) =>
  (text: string): number => {
    const value = /^[\d_]+$/.test(text) ? Number(text.replaceAll('_', '')) : Number.NaN;
    if (value >= low && value <= high) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${low} to ${high}.`);
  };

/** Which kernel a command talks to. */
export const kernelOption = (): Option =>
  new Option(
    '--kernel <name>',
    'which kernel: the name of one that stays, or linux for that of this machine',
  ).env('SKEP_KERNEL');

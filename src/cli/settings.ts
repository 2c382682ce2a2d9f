// `--set NAME=VALUE`: a global variable, or a part of it (`NAME.member`, `NAME[2].member`), before the object is loaded.

import { SkepError } from '../base/error.js';
import type { Value } from '../btf/value.js';
import type { CollectionSpec } from '../elf/spec.js';
import { findVariable, getVariable, setVariable } from '../loader/variables.js';
import { UsageError } from './errors.js';

/** `backends[1].mac=[2,0,0,0,1,9]` taken apart. */
export interface Setting {
  readonly text: string;
  readonly name: string;
  /** Members and indices below the variable. */
  readonly path: readonly (string | number)[];
  readonly value: string;
}

const SETTING = /^([A-Za-z_][\w.$]*?)((?:\.[A-Za-z_]\w*|\[\d+\])*)=(.*)$/s;

/** Reads one `--set`; throws a UsageError for what is none. */
export function parseSetting(text: string): Setting {
  const [, name, path, value] = SETTING.exec(text) ?? [];
  if (name === undefined || path === undefined || value === undefined) {
    throw new UsageError(`--set '${text}' is no setting`, {
      hint: 'Write NAME=VALUE, NAME.member=VALUE or NAME[0]=VALUE: --set blocked_port=443',
    });
  }
  const steps = path.match(/[A-Za-z_]\w*|\d+/g) ?? [];
  return {
    text,
    name,
    path: steps.map((step) => (/^\d/.test(step) ? Number(step) : step)),
    value,
  };
}

/** Sets the variables of `spec`, in this order. Throws a UsageError that lists the variables for an unknown one. */
export function applySettings(spec: CollectionSpec, settings: readonly Setting[]): void {
  for (const { name, path, value } of settings) {
    try {
      findVariable(spec, name);
      setVariable(
        spec,
        name,
        path.length === 0 ? value : replace(getVariable(spec, name), path, value, name),
      );
    } catch (cause) {
      if (!(cause instanceof SkepError)) throw cause;
      throw new UsageError(cause.message, { hint: cause.hint, cause });
    }
  }
}

/** `whole` with the part at `path` set; the rest stays. */
function replace(whole: Value, path: readonly (string | number)[], value: string, where: string): Value {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  if (typeof step === 'number') {
    if (!Array.isArray(whole)) throw new UsageError(`it is no array, so it has no [${step}]`, { where });
    const items: readonly Value[] = whole;
    const item = items[step];
    if (item === undefined) {
      throw new UsageError(`there is no [${step}]: it has ${items.length} elements`, { where });
    }
    return items.with(step, replace(item, rest, value, `${where}[${step}]`));
  }
  if (typeof whole !== 'object' || Array.isArray(whole) || whole instanceof Uint8Array) {
    throw new UsageError(`it is no struct, so it has no member '${step}'`, { where });
  }
  const members = whole as { readonly [name: string]: Value };
  if (!Object.hasOwn(members, step)) {
    throw new UsageError(`there is no member '${step}'`, {
      where,
      hint: `Members: ${Object.keys(members).join(', ')}.`,
    });
  }
  return { ...members, [step]: replace(members[step] as Value, rest, value, `${where}.${step}`) };
}

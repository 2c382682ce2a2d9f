// BTF as C, as `bpftool btf dump ... format c` prints it: the vmlinux.h of a kernel, or the types of an
// object. Types are taken up in bpftool's order (c-sort.ts), each after the definitions that it needs
// (c-order.ts); this file decides where a forward declaration is due and writes the text.

import { SkepError } from '../base/error.js';
import { Alignment } from './align.js';
import type { Btf } from './btf.js';
import { DefinitionOrder } from './c-order.js';
import { sortForC } from './c-sort.js';
import { CText } from './c-text.js';
import { Allowance } from './limit.js';
import { BtfKind } from './types.js';

export interface DumpCOptions {
  /** Only these types and what they need, in this order; all types without. */
  roots?: readonly number[];
  /** Take the types up by id and not by name: bpftool's `unsorted`, and what it did before 7.5. */
  unsorted?: boolean;
  /** False leaves out the kfunc prototypes and their macros, as bpftool before 7.5 did. */
  kfuncs?: boolean;
}

const guard = (name: string, body: string) => `#ifndef ${name}\n${body}#endif\n\n`;

/**
 * C text that clang compiles for the BPF target. Throws a SkepError for types that no C text can
 * define (a struct that embeds itself) and for a text out of all proportion to the BTF.
 */
export function dumpC(btf: Btf, options: DumpCOptions = {}): string {
  const { roots, kfuncs = true } = options;
  const printer = new CPrinter(btf);
  const text = printer.text;
  text.write('#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n\n');
  text.write(
    guard(
      'BPF_NO_PRESERVE_ACCESS_INDEX',
      '#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)\n',
    ),
  );
  if (kfuncs) {
    text.write(guard('__ksym', '#define __ksym __attribute__((section(".ksyms")))\n'));
    text.write(guard('__weak', '#define __weak __attribute__((weak))\n'));
    text.write(
      guard(
        '__bpf_fastcall',
        '#if __has_attribute(bpf_fastcall)\n#define __bpf_fastcall __attribute__((bpf_fastcall))\n' +
          '#else\n#define __bpf_fastcall\n#endif\n',
      ),
    );
  }
  if (roots !== undefined) {
    for (const id of roots) printer.print(id);
  } else if (options.unsorted === true) {
    for (let id = 1; id < btf.typeCount; id++) printer.print(id);
  } else {
    // bpftool sorts void among the types but begins after the first entry, as if void were there. So the
    // first type by name is printed only where another needs it; we follow.
    for (const id of sortForC(btf).slice(1)) printer.print(id);
  }
  if (kfuncs && roots === undefined) printer.printKfuncs();
  text.write('#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n#pragma clang attribute pop\n#endif\n\n');
  text.write('#endif /* __VMLINUX_H__ */\n');
  return text.toString();
}

/** How deep types may be nested when a definition is looked through. */
const MAX_DEPTH = 1000;

const NOT_EMITTED = 0;
const EMITTING = 1;
const EMITTED = 2;

/** Prints definitions, each once, with the forward declarations that they need. */
class CPrinter {
  readonly text: CText;
  readonly #btf: Btf;
  readonly #order: DefinitionOrder;
  readonly #state: Uint8Array;
  readonly #declared: Uint8Array;
  readonly #allowance: Allowance;

  constructor(btf: Btf) {
    this.#btf = btf;
    this.#order = new DefinitionOrder(btf);
    this.#state = new Uint8Array(btf.typeCount);
    this.#state[0] = EMITTED;
    this.#declared = new Uint8Array(btf.typeCount);
    this.#allowance = new Allowance(btf, 'the walk over all declarations');
    this.text = new CText(btf, new Alignment(btf));
  }

  /** Prints the definition of a type, and before it all that it needs and that is not yet there. */
  print(id: number): void {
    for (const definition of this.#order.next(id)) this.#emit(definition, 0, 0);
  }

  /**
   * Prints what `id` needs before it can be mentioned inside the definition of `container`,
   * or its own definition when `container` is 0.
   */
  #emit(id: number, container: number, depth: number): void {
    const btf = this.#btf;
    if (this.#state[id] === EMITTED) return;
    this.#allowance.spend(1);
    if (depth > MAX_DEPTH) {
      throw new SkepError(`types are nested more than ${MAX_DEPTH} deep`, { where: btf.describe(id) });
    }
    if (this.#state[id] === EMITTING) {
      this.#emitWithin(id, container);
      return;
    }
    const type = btf.type(id);
    switch (type.kind) {
      case 'INT':
        this.text.missingAlias(type.name);
        this.#state[id] = EMITTED;
        break;
      case 'ENUM':
      case 'ENUM64':
        if (container === 0) {
          this.text.enumDefinition(type, 0);
          this.text.write(';\n\n');
        }
        this.#state[id] = EMITTED;
        break;
      case 'PTR':
      case 'VOLATILE':
      case 'CONST':
      case 'RESTRICT':
      case 'TYPE_TAG':
      case 'ARRAY':
        this.#emit(type.type, container, depth + 1);
        break;
      case 'FWD':
        this.text.forward(type);
        this.text.write(';\n\n');
        this.#state[id] = EMITTED;
        break;
      case 'TYPEDEF':
        this.#state[id] = EMITTING;
        this.#emit(type.type, id, depth + 1);
        if (this.#declared[id] === 0) this.#typedef(id);
        this.#state[id] = EMITTED;
        break;
      case 'STRUCT':
      case 'UNION': {
        this.#state[id] = EMITTING;
        const anonymous = type.name === '';
        if (container === 0 || anonymous) {
          // Its members will be written out, so whatever they mention must be declared.
          for (const member of type.members) {
            this.#emit(member.type, anonymous ? container : id, depth + 1);
          }
        } else if (this.#declared[id] === 0 && id !== container) {
          this.#declareStruct(id);
        }
        if (container === 0) {
          this.text.structDefinition(type, 0);
          this.text.write(';\n\n');
          this.#state[id] = EMITTED;
        } else {
          this.#state[id] = NOT_EMITTED;
        }
        break;
      }
      case 'FUNC_PROTO':
        this.#emit(type.returnType, container, depth + 1);
        for (const param of type.params) this.#emit(param.type, container, depth + 1);
        break;
    }
  }

  /** A type is mentioned while its own definition is being prepared. */
  #emitWithin(id: number, container: number): void {
    if (this.#declared[id] === 1) return;
    const kind = this.#btf.kindNumber(id);
    if (kind === BtfKind.Typedef) {
      // A typedef is its own forward declaration, good for use behind a pointer.
      this.#typedef(id);
      this.#declared[id] = 1;
    } else if (id !== container && this.#btf.nameOffset(id) !== 0) {
      this.#declareStruct(id);
    }
  }

  #declareStruct(id: number): void {
    const type = this.#btf.type(id);
    if (type.kind !== 'STRUCT' && type.kind !== 'UNION') return;
    this.text.structName(type);
    this.text.write(';\n\n');
    this.#declared[id] = 1;
  }

  #typedef(id: number): void {
    const type = this.#btf.type(id);
    // The compiler itself defines this one and refuses another definition.
    if (type.kind !== 'TYPEDEF' || type.name === '__builtin_va_list') return;
    this.text.typedef(type);
    this.text.write(';\n\n');
  }

  /** The prototypes of the functions that are tagged `bpf_kfunc`, by name. */
  printKfuncs(): void {
    const btf = this.#btf;
    const kfuncs: { id: number; name: string; type: number }[] = [];
    const fastcalls = new Set<number>();
    for (let id = 1; id < btf.typeCount; id++) {
      if (btf.kindNumber(id) !== BtfKind.DeclTag) continue;
      const tag = btf.type(id);
      if (tag.kind !== 'DECL_TAG' || tag.componentIndex !== -1) continue;
      const func = btf.type(tag.type);
      if (func.kind !== 'FUNC') continue;
      if (tag.name === 'bpf_kfunc') kfuncs.push({ id: tag.type, name: func.name, type: func.type });
      if (tag.name === 'bpf_fastcall') fastcalls.add(tag.type);
    }
    kfuncs.sort((a, b) => (a.name === b.name ? 0 : a.name < b.name ? -1 : 1));
    this.text.write('\n/* BPF kfuncs */\n#ifndef BPF_NO_KFUNC_PROTOTYPES\n');
    for (const { id, name, type } of kfuncs) {
      this.text.write(fastcalls.has(id) ? 'extern __bpf_fastcall ' : 'extern ');
      this.text.declaration(type, name, 0);
      this.text.write(' __weak __ksym;\n');
    }
    this.text.write('#endif\n\n');
  }
}

// How loops pay for their instructions in checked mode. A loop of which nothing is known pays at the beginning of each
// round. One with a counter pays for all of its rounds together: before it begins when their number is known by then,
// otherwise on every way out, where the counter tells how many there were.

import { layout } from '../memory/memory.js';
import { fault } from './access.js';
import type { Rounds } from './counters.js';
import type { Flow } from './flow.js';
import { dominates } from './structure.js';
import type { Translator } from './translator.js';
import { I32, Op } from './wasm.js';

/** Rounds are paid for together only up to so many instructions: a fault among them comes a little early or late. */
const TOGETHER = 1 << 16;

export class LoopPayment {
  readonly #t: Translator;
  readonly #flow: Flow;
  readonly #rounds: ReadonlyMap<number, Rounds>;
  /** Instructions of one round, by header. */
  readonly #weights: ReadonlyMap<number, number>;
  /** The counter's first value (its lower half), by header, of loops that pay on the ways out. */
  readonly #first = new Map<number, number>();

  constructor(
    t: Translator,
    flow: Flow,
    rounds: ReadonlyMap<number, Rounds>,
    weights: ReadonlyMap<number, number>,
  ) {
    this.#t = t;
    this.#flow = flow;
    this.#rounds = rounds;
    this.#weights = weights;
  }

  /** The rounds of a loop, if it pays for all of them together. */
  #together(header: number): Rounds | undefined {
    const rounds = this.#rounds.get(header);
    return rounds && rounds.most * this.#weight(header) <= TOGETHER ? rounds : undefined;
  }

  #weight(header: number): number {
    return this.#weights.get(header) ?? 0;
  }

  /** Before a loop begins. */
  begin(header: number): void {
    const rounds = this.#together(header);
    if (rounds?.exact) this.#pay(header, rounds.most);
    else if (rounds && !this.#t.options.tailCalls) {
      const first = this.#t.body.local(I32);
      this.#t.push32(rounds.counter.register);
      this.#t.body.set(first);
      this.#first.set(header, first);
    }
  }

  /** At the beginning of a block, which may be a loop's header. */
  round(header: number): void {
    if (!this.#weights.has(header) || this.#first.has(header) || this.#together(header)?.exact) return;
    this.#pay(header, 1);
  }

  /** On the way from block `from` out of a loop. */
  leave(header: number, from: number): void {
    const counter = this.#rounds.get(header)?.counter;
    const first = this.#first.get(header);
    if (!counter || first === undefined) return;
    const { body } = this.#t;
    const { register, step, changedIn } = counter;
    this.spend(this.#flow.graph.blocks.get(header)?.slot ?? 0, () => {
      const pushNow = () => this.#t.push32(register);
      const pushFirst = () => body.get(first);
      for (const push of step > 0 ? [pushNow, pushFirst] : [pushFirst, pushNow]) push();
      body.op(Op.i32_sub);
      if (Math.abs(step) > 1) body.i32(Math.abs(step)).op(Op.i32_div_u);
      // The round that ends here is one more, unless the counter has counted it.
      if (!dominates(this.#flow.idom, this.#flow.order, changedIn, from)) body.i32(1).op(Op.i32_add);
      body.i32(this.#weight(header)).op(Op.i32_mul);
    });
  }

  #pay(header: number, rounds: number): void {
    const weight = rounds * this.#weight(header);
    this.spend(this.#flow.graph.blocks.get(header)?.slot ?? 0, () => this.#t.body.i32(weight));
  }

  /** Takes instructions from the budget; ends the run when there are not enough. */
  spend(slot: number, pushWeight: () => void): void {
    const t = this.#t;
    t.pushOverdrawn(pushWeight);
    t.body.openUnlikely();
    fault(t, layout.FAULT_BUDGET, slot, () => t.body.i64(0), 0);
    t.body.end();
  }
}

// What is found for ids - paths of pins, programs that use a BTF object - in the order in which bpftool lists it. That is the
// order of a chain in a hash table: what comes is put in front, and whenever the table grows every chain is turned around.

const SMALLEST = 4;

export class IdTable<T> {
  readonly #lists = new Map<number, T[]>();
  #size = 0;
  #capacity = 0;

  append(id: number, value: T): void {
    if (this.#capacity === 0 || Math.floor(((this.#size + 1) * 4) / 3) > this.#capacity) {
      this.#capacity = Math.max(SMALLEST, this.#capacity * 2);
      for (const list of this.#lists.values()) list.reverse();
    }
    const list = this.#lists.get(id);
    if (list) list.unshift(value);
    else this.#lists.set(id, [value]);
    this.#size++;
  }

  /** What belongs to each id. */
  get lists(): ReadonlyMap<number, readonly T[]> {
    return this.#lists;
  }
}

// A stream to a client: what happens in the kernel is sent as far as the client takes it. What it does not take waits in
// a buffer of bounded size; then the oldest is lost, and the next that follows says how many were: as Linux's trace
// buffer has it.

/** An item of a stream. */
export interface Item {
  /** Items that found no room between the one before and this one. */
  lost?: number;
}

export interface StreamOptions<T> {
  /** Bytes that an item takes, roughly. */
  readonly sizeOf: (item: T) => number;
  /** Items are counted as lost for each lane apart; the CPU of a trace event. */
  readonly laneOf: (item: T) => number;
  /** Bytes that may wait. */
  readonly capacity: number;
}

/** Items and bytes in one message, and messages that a client need not have taken. */
const BATCH_ITEMS = 512;
const BATCH_BYTES = 256 << 10;
const WINDOW = 4;

export class StreamBuffer<T extends Item> {
  readonly #send: (items: T[]) => void;
  readonly #options: StreamOptions<T>;
  readonly #lost = new Map<number, number>();
  #items: T[] = [];
  /** Those before it have been sent or lost. */
  #head = 0;
  #bytes = 0;
  #underway = 0;
  #isScheduled = false;

  constructor(options: StreamOptions<T>, send: (items: T[]) => void) {
    this.#options = options;
    this.#send = send;
  }

  push(item: T): void {
    const { sizeOf, capacity } = this.#options;
    this.#items.push(item);
    this.#bytes += sizeOf(item);
    if (this.#bytes >= BATCH_BYTES || this.#items.length - this.#head >= BATCH_ITEMS) this.flush();
    while (this.#bytes > capacity && this.#items.length - this.#head > 1) this.#lose();
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }

  #shift(): T {
    const item = this.#items[this.#head++] as T;
    this.#bytes -= this.#options.sizeOf(item);
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  #lose(): void {
    const item = this.#shift();
    const lane = this.#options.laneOf(item);
    this.#lost.set(lane, (this.#lost.get(lane) ?? 0) + 1 + (item.lost ?? 0));
  }

  /** Sends what waits, as far as the client has taken what was sent before. */
  flush(): void {
    while (this.#underway < WINDOW && this.#head < this.#items.length) {
      const batch: T[] = [];
      for (
        let bytes = 0;
        batch.length < BATCH_ITEMS && bytes < BATCH_BYTES && this.#head < this.#items.length;
      ) {
        const before = this.#bytes;
        batch.push(this.#withLost(this.#shift()));
        bytes += before - this.#bytes;
      }
      this.#underway++;
      this.#send(batch);
    }
  }

  #withLost(item: T): T {
    const lane = this.#options.laneOf(item);
    const lost = this.#lost.get(lane);
    if (lost === undefined) return item;
    this.#lost.delete(lane);
    return { ...item, lost: lost + (item.lost ?? 0) };
  }

  /** The client has taken a message. */
  taken(): void {
    if (this.#underway > 0) this.#underway--;
    this.flush();
  }
}

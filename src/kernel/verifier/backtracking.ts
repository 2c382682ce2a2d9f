// The set of registers and stack slots whose value must be known exactly, frame by frame, while the path is walked
// backwards.

export class Backtracking {
  /** The frame that the walk is in. */
  frame = 0;
  readonly regs = new Uint32Array(8);
  readonly slotsLow = new Uint32Array(8);
  readonly slotsHigh = new Uint32Array(8);
  /** What makes the walk stop at each instruction (precision.ts); made when first needed. */
  touches: Uint32Array | undefined;

  reset(frame: number): void {
    this.frame = frame;
    this.regs.fill(0);
    this.slotsLow.fill(0);
    this.slotsHigh.fill(0);
  }
  get empty(): boolean {
    let any = 0;
    for (let i = 0; i <= this.frame; i++) {
      any |= (this.regs[i] as number) | (this.slotsLow[i] as number) | (this.slotsHigh[i] as number);
    }
    return any === 0;
  }
  hasReg(reg: number, frame = this.frame): boolean {
    return ((this.regs[frame] as number) & (1 << reg)) !== 0;
  }
  setReg(reg: number, frame = this.frame): void {
    this.regs[frame] = (this.regs[frame] as number) | (1 << reg);
  }
  clearReg(reg: number, frame = this.frame): void {
    this.regs[frame] = (this.regs[frame] as number) & ~(1 << reg);
  }
  hasSlot(slot: number, frame = this.frame): boolean {
    const half = slot < 32 ? this.slotsLow : this.slotsHigh;
    return ((half[frame] as number) & (1 << (slot & 31))) !== 0;
  }
  setSlot(slot: number, frame = this.frame): void {
    const half = slot < 32 ? this.slotsLow : this.slotsHigh;
    half[frame] = (half[frame] as number) | (1 << (slot & 31));
  }
  clearSlot(slot: number, frame = this.frame): void {
    const half = slot < 32 ? this.slotsLow : this.slotsHigh;
    half[frame] = (half[frame] as number) & ~(1 << (slot & 31));
  }
  regMask(frame = this.frame): number {
    return this.regs[frame] as number;
  }
  hasSlots(frame = this.frame): boolean {
    return ((this.slotsLow[frame] as number) | (this.slotsHigh[frame] as number)) !== 0;
  }

  /** As the log shows a frame's registers: `r1,r3`. */
  regText(frame = this.frame): string {
    const names: string[] = [];
    for (let i = 0; i < 32; i++) if (this.hasReg(i, frame)) names.push(`r${i}`);
    return names.join(',');
  }
  /** As the log shows a frame's slots: `-8,-16`. */
  slotText(frame = this.frame): string {
    const names: string[] = [];
    for (let i = 0; i < 64; i++) if (this.hasSlot(i, frame)) names.push(`${-(i + 1) * 8}`);
    return names.join(',');
  }
}

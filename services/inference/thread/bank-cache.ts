/** Banks by digest, so that callers send the rows once. Bounded by bytes; the least recently used goes first. */
import { fault } from '../../../shared/errors/fault.js';
import type { EditBank } from '../engine/edit-bank.js';

/** Some 20 banks of 2,000 features at d = 2304. */
const MAX_BYTES = 768 << 20;

export class BankCache {
  private readonly banks = new Map<string, EditBank>();
  private bytes = 0;

  keep(bank: EditBank): EditBank {
    const known = this.banks.get(bank.digest);
    if (known !== undefined) return this.use(known);
    this.banks.set(bank.digest, bank);
    this.bytes += sizeOf(bank);
    for (const old of this.banks.values()) {
      if (this.bytes <= MAX_BYTES || old === bank) break;
      this.banks.delete(old.digest);
      this.bytes -= sizeOf(old);
    }
    return bank;
  }

  /** Throws BANK_UNKNOWN. */
  find(digest: string): EditBank {
    const known = this.banks.get(digest);
    if (known !== undefined) return this.use(known);
    throw fault('BANK_UNKNOWN', `No bank with digest ${digest.slice(0, 64)} is kept here: send it inline once.`);
  }

  private use(bank: EditBank): EditBank {
    this.banks.delete(bank.digest);
    this.banks.set(bank.digest, bank);
    return bank;
  }
}

const sizeOf = (bank: EditBank): number =>
  bank.groups.reduce((sum, { read, write }) => sum + read.byteLength + write.byteLength, 0);

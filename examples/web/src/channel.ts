/** Between the tab that comes back from a bank and the tab that left for it. Only pages of this origin hear it. */
export const BACK_FROM_BANK = 'back-from-bank'

// Package trail keeps a copy of the audit stream in the database, where it can be read
// back: newest first, by account, act, outcome, address, time and text, by
// administrators, and by everybody what concerns them.
//
// The file that package audit writes comes first and stays what it is. The copy is
// written behind it in batches, from a bounded buffer: no call waits for it or fails
// with it. A process that is killed loses of the copy what the last half second held,
// and the file has it; what finds no room is counted, and told in both as soon as
// writing works again (GapAct).
//
// The package decides nothing by what it keeps. It resolves who an account is when
// somebody reads, and knows no door.
package trail

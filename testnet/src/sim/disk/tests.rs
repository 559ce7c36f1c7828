//! The disk loses what it may lose, and nothing else.

use super::*;

fn read(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read(0, &mut bytes).unwrap();
    bytes
}

fn written() -> (Disk, File) {
    let disk = Disk::default();
    let file = disk.files().journal;
    file.set_len(4).unwrap();
    file.write(0, b"abcd").unwrap();
    file.sync_data().unwrap();
    file.write(1, b"XYZ").unwrap();
    (disk, file)
}

#[test]
fn a_power_failure_loses_what_was_not_synced() {
    let (disk, file) = written();
    assert_eq!(read(&file), b"aXYZ");
    disk.recover(Loss::Everything, |_| 0);
    assert_eq!(read(&disk.files().journal), b"abcd");
}

#[test]
fn a_killed_process_loses_nothing_that_it_wrote() {
    let (disk, _) = written();
    disk.recover(Loss::Nothing, |_| 0);
    assert_eq!(read(&disk.files().journal), b"aXYZ");
}

#[test]
fn an_unsynced_write_may_be_torn_at_any_byte() {
    let (disk, _) = written();
    disk.recover(Loss::Torn, |limit| limit.min(3) - 1); // Torn, and after 2 of its 3 bytes.
    assert_eq!(read(&disk.files().journal), b"aXYd");
}

#[test]
fn the_power_fails_in_the_middle_of_a_write_and_stays_away() {
    let (disk, file) = written();
    disk.fail_power_after(1);
    file.sync_data().unwrap();
    file.write(0, b"!!!!").unwrap_err();
    assert!(disk.is_without_power());
    file.sync_data().unwrap_err();
    file.read(0, &mut [0]).unwrap_err();
    disk.recover(Loss::Torn, |limit| limit.min(3) - 1);
    assert_eq!(read(&disk.files().journal), b"!!YZ");
}

#[test]
fn a_process_that_is_gone_cannot_write() {
    let (disk, old) = written();
    let new = disk.files().journal;
    old.write(0, b"?").unwrap_err();
    assert_eq!(read(&new), b"aXYZ");
}

#[test]
fn a_full_disk_does_not_grow_and_what_it_holds_stays() {
    let (disk, file) = written();
    disk.set_full(true);
    assert_eq!(file.set_len(100).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert!((0..4).any(|_| file.write(0, b"q").is_err()));
    disk.set_full(false);
    file.set_len(100).unwrap();
    assert_eq!(read(&file).len(), 100);
}

#[test]
fn a_disk_that_forgets_syncs_shows() {
    let (disk, file) = written();
    assert!(!disk.is_synced(FileName::Journal));
    file.sync_data().unwrap();
    assert!(disk.is_synced(FileName::Journal));
    disk.forget_syncs();
    file.write(0, b"z").unwrap();
    file.sync_data().unwrap();
    assert!(!disk.is_synced(FileName::Journal));
    disk.recover(Loss::Everything, |_| 0);
    assert_eq!(read(&disk.files().journal), b"aXYZ");
}

#[test]
fn a_backup_brings_back_what_is_asked_of_it_and_leaves_the_rest() {
    let disk = Disk::default();
    let files = disk.files();
    let put = |file: &File, byte: u8| {
        file.write(0, &[byte]).unwrap();
        file.sync_data().unwrap();
    };
    [&files.journal, &files.blocks, &files.ledger].into_iter().for_each(|file| put(file, 1));
    let backup = disk.backup();
    [&files.journal, &files.blocks, &files.ledger].into_iter().for_each(|file| put(file, 2));
    disk.restore(&backup, &[FileName::Ledger]);
    let files = disk.files();
    assert_eq!((read(&files.journal), read(&files.blocks), read(&files.ledger)), (vec![2], vec![2], vec![1]));
    disk.restore(&backup, &[FileName::Blocks, FileName::Journal]);
    assert_eq!((read(&disk.files().blocks), read(&disk.files().journal)), (vec![1], vec![1]));
    disk.lose(&[FileName::Journal]);
    assert_eq!((read(&disk.files().blocks), disk.files().journal.len().unwrap()), (vec![1], 0));
}

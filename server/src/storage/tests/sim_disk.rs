//! What the simulated disk forgets, and that it forgets the same for the same seed.

use crate::storage::SimDisk;

#[test]
fn a_crash_keeps_what_was_synced_and_is_the_same_for_the_same_seed() {
    let disk = SimDisk::new();
    let mount = disk.mount();
    let file = mount.create("a", 2048).unwrap();
    file.write_at(&[1; 1000], 0).unwrap();
    file.sync().unwrap();
    mount.sync_dir().unwrap();
    file.write_at(&[2; 1000], 1000).unwrap();
    mount.create("b", 10).unwrap();
    let outcomes: Vec<_> = (0..64)
        .map(|seed| {
            let (one, two) = (disk.duplicate(), disk.duplicate());
            one.crash(seed);
            two.crash(seed);
            assert_eq!((one.names(), one.content("a")), (two.names(), two.content("a")));
            let content = one.content("a").unwrap();
            assert_eq!(content[..1000], [1; 1000]);
            (one.names().len(), content)
        })
        .collect();
    let count = |wanted: &[u8]| outcomes.iter().filter(|o| o.1[1000..2000] == *wanted).count();
    assert!(count(&[2; 1000]) > 5 && count(&[0; 1000]) > 5, "kept and lost");
    assert!(count(&[2; 1000]) + count(&[0; 1000]) < 60, "torn");
    assert!(outcomes.iter().any(|o| o.0 == 1) && outcomes.iter().any(|o| o.0 == 2));
}

#[test]
fn the_dead_cannot_write() {
    let disk = SimDisk::new();
    let mount = disk.mount();
    let file = mount.create("a", 10).unwrap();
    disk.crash(1);
    assert!(file.write_at(&[1], 0).is_err() && file.sync().is_err());
    assert!(mount.create("b", 1).is_err());
    disk.mount().create("b", 1).unwrap();
}

//! `sensor profile`: where processor time goes.
use clap::Args;
#[derive(Args, Debug)]
pub(super) struct ProfileArgs {}
pub(super) fn profile(_a: &ProfileArgs) -> anyhow::Result<()> { Ok(()) }

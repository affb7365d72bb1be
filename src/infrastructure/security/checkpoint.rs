//! Signatures over the audit trail: Ed25519 (RFC 8032), by keys derived from the ring.

use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::{
    application::chain::{CheckpointSigner, CurrentSigner, SignatureCheck},
    domain::chain::{Endorsement, key_id},
};

use super::keys::{Derived, Keys, KeysInForce, Purpose};

/// Signs with the first key of the ring; every other one is vouched for.
pub struct Ed25519Signer {
    key_id: String,
    key: Ed25519KeyPair,
    public_keys: Vec<Vec<u8>>,
}

impl Ed25519Signer {
    /// From the configured keys.
    pub fn new(keys: &Keys) -> anyhow::Result<Self> {
        let pairs = keys.derive(Purpose::AuditSigning)?.into_iter().map(|named| {
            // The seed is derived; there is no stored public key it could be held against.
            Ed25519KeyPair::from_seed_unchecked(named.key.as_slice()).map_err(|_| anyhow::anyhow!("no signing key can be made of the key {}", named.id))
        });
        let pairs = pairs.collect::<anyhow::Result<Vec<_>>>()?;
        let public_keys: Vec<Vec<u8>> = pairs.iter().map(|pair| pair.public_key().as_ref().to_vec()).collect();
        let key = pairs.into_iter().next().ok_or_else(|| anyhow::anyhow!("the key ring is empty"))?;
        Ok(Self { key_id: key_id(key.public_key().as_ref()), key, public_keys })
    }

    /// The public keys of the ring, the one that signs first.
    pub fn public_keys(&self) -> &[Vec<u8>] {
        &self.public_keys
    }
}

impl CheckpointSigner for Ed25519Signer {
    fn key_id(&self) -> &str {
        &self.key_id
    }

    fn sign(&self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        let signature = self.key.try_sign(message).map_err(|_| anyhow::anyhow!("a checkpoint could not be signed"))?;
        Ok(signature.as_ref().to_vec())
    }

    fn endorsements(&self) -> anyhow::Result<Vec<Endorsement>> {
        let endorse = |public_key: &Vec<u8>| {
            let key_id = key_id(public_key);
            let mut endorsement = Endorsement { key_id, public_key: public_key.clone(), endorsed_by: self.key_id.clone(), signature: Vec::new() };
            endorsement.signature = self.sign(&endorsement.message())?;
            Ok(endorsement)
        };
        self.public_keys.iter().map(endorse).collect()
    }
}

/// Signs by whichever ring is in force.
pub struct RingSigner(Derived<Ed25519Signer>);

impl RingSigner {
    /// Over the keys in force.
    pub fn new(keys: &KeysInForce) -> anyhow::Result<Self> {
        Ok(Self(keys.derived(Ed25519Signer::new)?))
    }
}

impl CurrentSigner for RingSigner {
    fn now(&self) -> Arc<dyn CheckpointSigner> {
        self.0.now()
    }
}

/// Tells Ed25519 signatures.
pub struct Ed25519Check;

impl SignatureCheck for Ed25519Check {
    fn is_by(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
    }
}

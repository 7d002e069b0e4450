//! Values of a type, as JSON.

use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cache::Cache;
use crate::Error;

/// A cache with values of a type, as JSON. Made by [`Cache::typed`].
///
/// Whatever reads the bytes, such as the command line, sees JSON. Each read makes a new value of
/// the bytes: where that is too slow, read bytes ([`TypedCache::bytes`]).
///
/// ```no_run
/// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
/// let limits = client.cache("limits").typed::<Vec<u32>>();
/// limits.put("eu", &vec![10, 20]).await?;
/// assert_eq!(limits.get("eu").await?, Some(vec![10, 20]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TypedCache<T> {
    cache: Cache,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for TypedCache<T> {
    fn clone(&self) -> Self {
        Self::new(self.cache.clone())
    }
}

impl<T> TypedCache<T> {
    pub(super) fn new(cache: Cache) -> Self {
        Self { cache, of: PhantomData }
    }

    /// The same cache with plain bytes.
    pub fn bytes(&self) -> &Cache {
        &self.cache
    }
}

impl<T: Serialize + DeserializeOwned> TypedCache<T> {
    /// As [`Cache::get`].
    ///
    /// # Errors
    /// As there, and [`Error::BadValue`] if what is stored is not such a value.
    pub async fn get(&self, key: impl AsRef<str>) -> Result<Option<T>, Error> {
        Ok(self.get_versioned(key).await?.map(|(value, _)| value))
    }

    /// The value with its version, for [`TypedCache::compare_and_put`].
    ///
    /// # Errors
    /// As [`TypedCache::get`].
    pub async fn get_versioned(&self, key: impl AsRef<str>) -> Result<Option<(T, u64)>, Error> {
        let Some(value) = self.cache.get(key.as_ref()).await? else { return Ok(None) };
        match serde_json::from_slice(&value.body) {
            Ok(parsed) => Ok(Some((parsed, value.version))),
            Err(why) => Err(bad(key.as_ref(), &why)),
        }
    }

    /// As [`Cache::put`].
    ///
    /// # Errors
    /// As there, and [`Error::BadValue`] if the value cannot be written as JSON.
    pub async fn put(&self, key: impl AsRef<str>, value: &T) -> Result<u64, Error> {
        let body = json(key.as_ref(), value)?;
        self.cache.put(key, body).await
    }

    /// As [`Cache::put_for`].
    ///
    /// # Errors
    /// As [`TypedCache::put`].
    pub async fn put_for(
        &self,
        key: impl AsRef<str>,
        value: &T,
        ttl: Duration,
    ) -> Result<u64, Error> {
        let body = json(key.as_ref(), value)?;
        self.cache.put_for(key, body, ttl).await
    }

    /// As [`Cache::compare_and_put`].
    ///
    /// # Errors
    /// As there, and [`Error::BadValue`] if the value cannot be written as JSON.
    pub async fn compare_and_put(
        &self,
        key: impl AsRef<str>,
        version: u64,
        value: &T,
    ) -> Result<u64, Error> {
        let body = json(key.as_ref(), value)?;
        self.cache.compare_and_put(key, version, body).await
    }

    /// As [`Cache::delete`].
    ///
    /// # Errors
    /// As there.
    pub async fn delete(&self, key: impl AsRef<str>) -> Result<bool, Error> {
        self.cache.delete(key).await
    }
}

fn json<T: Serialize>(key: &str, value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|why| bad(key, &why))
}

fn bad(key: &str, why: &serde_json::Error) -> Error {
    Error::BadValue { message: format!("{key} cannot be read or written as JSON: {why}") }
}

//! Upscaling with a small ESRGAN: a residual dense network in TensorFlow.js' layers format (`model.json` and one file of
//! floats beside it), as published for factors 2, 3, 4 and 8.
//!
//! The picture is taken in tiles with a margin as wide as the network sees, so that memory is bounded and the tiles' seams
//! cannot be seen: inside the margin the numbers are those of the whole picture.

use std::path::Path;

use candle_core::{D, DType, Device, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, Module};
use host::job::JobError;
use image::{GenericImage, RgbImage};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Model, NativeError, Request, picture, refused, unable};

/// Side of a tile without margin, pixels of the input.
const TILE: u32 = 128;
/// How far the network sees, pixels of the input: half widths of all kernels in a row, those of the last one in the output.
const MARGIN: u32 = 10;
/// Memory that a tile takes on its way, bytes: 64 channels of floats, unfolded for a kernel of 5 × 5.
pub(crate) const TILE_MEMORY: u64 = ((TILE + 2 * MARGIN) as u64).pow(2) * 64 * 4 * 30;
/// Largest picture that is taken, pixels.
const PIXELS_MOST: u64 = 4096 * 4096;

/// The network.
pub(crate) struct Upscaler {
    device: Device,
    scale: u32,
    layers: Layers,
}

struct Layers {
    f_m1: Conv2d,
    f_0: Conv2d,
    blocks: Vec<(Conv2d, Conv2d)>,
    gff_1: Conv2d,
    gff_2: Conv2d,
    upn: [Conv2d; 3],
    sr: Conv2d,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    weights_manifest: Vec<Group>,
    model_topology: Value,
}

#[derive(Deserialize)]
struct Group {
    paths: Vec<String>,
    weights: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    shape: Vec<usize>,
    dtype: String,
}

impl Manifest {
    fn read(directory: &Path) -> Result<Self, NativeError> {
        let path = directory.join("model.json");
        let text = std::fs::read(&path).map_err(|error| NativeError::file(&path, error))?;
        serde_json::from_slice(&text).map_err(|error| NativeError::weights(&path, error))
    }

    /// The factor of the layer that makes the picture larger.
    fn scale(&self) -> Option<u32> {
        let layers = &self.model_topology["model_config"]["config"]["layers"];
        let layers = layers.as_array()?.iter();
        let mut larger = layers.filter(|layer| layer["class_name"] == "UpSampling2D");
        let scale = larger.next()?["config"]["size"][0].as_u64()?;
        u32::try_from(scale)
            .ok()
            .filter(|scale| (1..=16).contains(scale))
    }
}

/// What lies in `directory`: a name and bytes of weights.
pub(crate) fn inspect(directory: &Path) -> Result<(String, u64), NativeError> {
    let manifest = Manifest::read(directory)?;
    let scale = manifest.scale().ok_or_else(|| unknown(directory))?;
    let floats: usize = manifest
        .weights_manifest
        .iter()
        .flat_map(|group| &group.weights)
        .map(|entry| entry.shape.iter().product::<usize>())
        .sum();
    Ok((format!("rdn x{scale}"), 4 * floats as u64))
}

fn unknown(directory: &Path) -> NativeError {
    NativeError::Architecture {
        path: directory.join("model.json"),
        found: "other layers".into(),
        known: "a residual dense network with UpSampling2D",
    }
}

/// Reads `model.json` and its weights from `directory`.
pub(crate) fn load(directory: &Path, device: Device) -> Result<Upscaler, NativeError> {
    let manifest = Manifest::read(directory)?;
    let scale = manifest.scale().ok_or_else(|| unknown(directory))?;
    let weights = Weights::read(directory, &manifest, &device)?;
    let mut blocks = Vec::new();
    while weights.has(&format!("F_{}_1", blocks.len() + 1)) {
        let number = blocks.len() + 1;
        blocks.push((
            weights.conv(&format!("F_{number}_1"))?,
            weights.conv(&format!("LFF_{number}"))?,
        ));
    }
    let layers = Layers {
        f_m1: weights.conv("F_m1")?,
        f_0: weights.conv("F_0")?,
        blocks,
        gff_1: weights.conv("GFF_1")?,
        gff_2: weights.conv("GFF_2")?,
        upn: [
            weights.conv("UPN1")?,
            weights.conv("UPN2")?,
            weights.conv("UPN3")?,
        ],
        sr: weights.conv("SR")?,
    };
    Ok(Upscaler {
        device,
        scale,
        layers,
    })
}

/// Tensors by name, and where they come from.
struct Weights<'d> {
    directory: &'d Path,
    tensors: std::collections::HashMap<String, Tensor>,
}

impl<'d> Weights<'d> {
    fn read(
        directory: &'d Path,
        manifest: &Manifest,
        device: &Device,
    ) -> Result<Self, NativeError> {
        let mut tensors = std::collections::HashMap::new();
        for group in &manifest.weights_manifest {
            let mut bytes = Vec::new();
            for name in &group.paths {
                let path = plain(directory, name)?;
                let part = std::fs::read(&path).map_err(|error| NativeError::file(&path, error))?;
                bytes.extend(part);
            }
            let mut rest = bytes.as_slice();
            for entry in &group.weights {
                let length = 4 * entry.shape.iter().product::<usize>();
                let (own, after) = rest
                    .split_at_checked(length)
                    .filter(|_| entry.dtype == "float32")
                    .ok_or_else(|| {
                        NativeError::weights(directory, format!("{} is cut off", entry.name))
                    })?;
                rest = after;
                let tensor = Tensor::from_raw_buffer(own, DType::F32, &entry.shape, device);
                let tensor = tensor.map_err(|error| NativeError::weights(directory, error))?;
                tensors.insert(entry.name.clone(), tensor);
            }
        }
        Ok(Self { directory, tensors })
    }

    fn has(&self, layer: &str) -> bool {
        self.tensors.contains_key(&format!("{layer}/kernel"))
    }

    /// A convolution whose output is as large as its input. Kernels lie as height, width, in, out.
    fn conv(&self, layer: &str) -> Result<Conv2d, NativeError> {
        let get = |part: &str| {
            let name = format!("{layer}/{part}");
            let found = self.tensors.get(&name);
            found.ok_or_else(|| NativeError::weights(self.directory, format!("{name} is missing")))
        };
        let kernel = get("kernel")?
            .permute((3, 2, 0, 1))
            .and_then(|kernel| kernel.contiguous())
            .map_err(|error| NativeError::weights(self.directory, error))?;
        let padding = kernel.dim(D::Minus1).unwrap_or(1) / 2;
        let config = Conv2dConfig {
            padding,
            ..Conv2dConfig::default()
        };
        Ok(Conv2d::new(kernel, Some(get("bias")?.clone()), config))
    }
}

/// A file of the directory itself.
fn plain(directory: &Path, name: &str) -> Result<std::path::PathBuf, NativeError> {
    if name.contains(['/', '\\']) || name.starts_with('.') {
        return Err(NativeError::weights(
            directory,
            format!("{name:?} is no plain file name"),
        ));
    }
    Ok(directory.join(name))
}

impl Layers {
    /// `input` is batch × 3 × height × width, 0 to 255; so is the output, larger.
    fn forward(&self, input: &Tensor, scale: usize) -> candle_core::Result<Tensor> {
        let shallow = self.f_m1.forward(input)?;
        let mut block_input = self.f_0.forward(&shallow)?;
        let mut blocks = Vec::new();
        for (dense, fuse) in &self.blocks {
            let grown = dense.forward(&block_input)?.relu()?;
            let both = Tensor::cat(&[&block_input, &grown], 1)?;
            block_input = (fuse.forward(&both)? + &block_input)?;
            blocks.push(block_input.clone());
        }
        let fused = self.gff_1.forward(&Tensor::cat(&blocks, 1)?)?;
        let deep = (self.gff_2.forward(&fused)? + shallow)?;
        let [first, second, third] = &self.upn;
        let x = first.forward(&deep)?.relu()?;
        let x = second.forward(&x)?.relu()?;
        let x = third.forward(&x)?;
        let (_, _, height, width) = x.dims4()?;
        let x = x.upsample_nearest2d(height * scale, width * scale)?;
        self.sr.forward(&x)
    }
}

impl Upscaler {
    fn tile(&self, source: &RgbImage, x: u32, y: u32) -> candle_core::Result<(RgbImage, u32, u32)> {
        let (left, top) = (x.saturating_sub(MARGIN), y.saturating_sub(MARGIN));
        let right = (x + TILE + MARGIN).min(source.width());
        let bottom = (y + TILE + MARGIN).min(source.height());
        let view = image::imageops::crop_imm(source, left, top, right - left, bottom - top);
        let view = view.to_image();
        let (width, height) = (view.width() as usize, view.height() as usize);
        let input = Tensor::from_vec(view.into_raw(), (1, height, width, 3), &self.device)?
            .permute((0, 3, 1, 2))?
            .to_dtype(DType::F32)?
            .contiguous()?;
        let output = self.layers.forward(&input, self.scale as usize)?;
        let pixels = output
            .squeeze(0)?
            .permute((1, 2, 0))?
            .clamp(0f32, 255f32)?
            .round()?
            .to_dtype(DType::U8)?
            .flatten_all()?
            .to_vec1::<u8>()?;
        let (large_width, large_height) =
            ((right - left) * self.scale, (bottom - top) * self.scale);
        let large = RgbImage::from_raw(large_width, large_height, pixels)
            .ok_or_else(|| candle_core::Error::Msg("the network gave another size".into()))?;
        // without the margin
        let (from_x, from_y) = ((x - left) * self.scale, (y - top) * self.scale);
        let width = TILE.min(source.width() - x) * self.scale;
        let height = TILE.min(source.height() - y) * self.scale;
        let own = image::imageops::crop_imm(&large, from_x, from_y, width, height);
        Ok((own.to_image(), x * self.scale, y * self.scale))
    }
}

impl Model for Upscaler {
    fn run(&self, request: &Request<'_>) -> Result<Value, JobError> {
        let source = picture::decode(request.file)?;
        let (width, height) = source.dimensions();
        if u64::from(width) * u64::from(height) > PIXELS_MOST {
            return Err(refused(format!(
                "the image has {width} × {height} pixels; at most {PIXELS_MOST} are taken"
            )));
        }
        let mut large = RgbImage::new(width * self.scale, height * self.scale);
        for y in (0..height).step_by(TILE as usize) {
            for x in (0..width).step_by(TILE as usize) {
                request.parts.check().map_err(unable)?;
                let (tile, at_x, at_y) = self.tile(&source, x, y).map_err(unable)?;
                large.copy_from(&tile, at_x, at_y).map_err(unable)?;
            }
        }
        let seed = request.fields.get("seed").and_then(Value::as_i64);
        let image = json!({
            "url": picture::data_url(&large)?,
            "seed": seed.unwrap_or(0),
            "nsfw": false,
        });
        Ok(json!({ "images": [image] }))
    }
}

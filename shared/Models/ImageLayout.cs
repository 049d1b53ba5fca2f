using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Models;

/// <summary>
/// How the elements of (N, C, H, W) tensors lie in memory: a plane a channel (contiguous), or a pixel's channels together (channels-last).
/// </summary>
public static class ImageLayout
{
    /// <summary>The same elements, a pixel's channels together. libtorch's layers then give theirs so too.</summary>
    public static Tensor ToChannelsLast(Tensor images_NCHW) =>
        EmptyChannelsLast(images_NCHW.shape, images_NCHW.dtype, images_NCHW.device).copy_(images_NCHW);

    /// <summary>Undefined elements, a pixel's channels together.</summary>
    /// <param name="shape">(N, C, H, W).</param>
    /// <param name="dtype">Of the elements.</param>
    /// <param name="device">Where they lie.</param>
    public static Tensor EmptyChannelsLast(long[] shape, ScalarType dtype, Device device)
    {
        var (channels, height, width) = (shape[1], shape[2], shape[3]);
        return empty_strided(shape, [height * width * channels, 1, width * channels, channels], dtype: dtype, device: device);
    }

    /// <summary>
    /// Whether a pixel's channels lie together, pixel after pixel, and not also a plane a channel, as with one channel or one pixel.
    /// </summary>
    public static bool IsChannelsLast(Tensor images_NCHW)
    {
        if (images_NCHW.dim() != 4 || images_NCHW.is_contiguous())
            return false;
        using var pixels = images_NCHW.permute(0, 2, 3, 1);
        return pixels.is_contiguous();
    }

    /// <summary>
    /// The address of the first element of a tensor in the CPU's memory that has any; the others follow without gaps where the tensor has
    /// none.
    /// </summary>
    public static unsafe nint AddressOf(Tensor tensor)
    {
        // Of the first element alone: bytes is a span and cannot be longer than 2 GiB, nor of a tensor that is not contiguous.
        var one = new long[tensor.dim()];
        Array.Fill(one, 1);
        using var first = tensor.as_strided(one, one, tensor.storage_offset());
        return (nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
    }
}

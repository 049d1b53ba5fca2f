using static TorchSharp.torch;

namespace Cluster.Models.Inception;

/// <summary>What all convolutions of a net have in common.</summary>
/// <param name="Width">Factor on published channel counts.</param>
/// <param name="Normalizes">Batch normalisation after each convolution.</param>
/// <param name="Biased">Biases in the convolutions.</param>
/// <param name="Dtype">Float32 or float64.</param>
internal sealed record UnitStyle(double Width, bool Normalizes, bool Biased, ScalarType Dtype)
{
    /// <summary>Batch normalisation, and so no biases: from Ioffe and Szegedy 2015 on.</summary>
    public static UnitStyle Normalized(double width, ScalarType dtype) => new(width, Normalizes: true, Biased: false, dtype);

    /// <summary>Channels of this net where the published one has <paramref name="published"/>.</summary>
    public int Scaled(int published) => CommonOptions.Scaled(published, Width);
}

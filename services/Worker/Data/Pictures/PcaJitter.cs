using Cluster.Models;

namespace Cluster.Worker.Data.Pictures;

/// <summary>Random multiples of the principal components of the colours of ImageNet's training pictures, added to every pixel of a sample:
/// Krizhevsky et al. 2012, §4.1, where the deviation of the multiples is 0.1.</summary>
/// <remarks>The published components (of RGB in 0 to 1) serve every data set, as in the code that goes with He et al. 2015
/// (github.com/facebookarchive/fb.resnet.torch): what matters is their order of size, brightness before hue.</remarks>
internal static class PcaJitter
{
    // Words of the sample's random stream behind SampleView's and before CropChoice's: a normal takes two.
    private const ulong FirstNormal = 2;

    private static readonly double[] Deviations = [0.2175, 0.0188, 0.0045];

    private static readonly double[][] Components =
    [
        [-0.5675, -0.5808, -0.5836],
        [0.7192, -0.0045, -0.6948],
        [0.4009, -0.8140, 0.4203],
    ];

    /// <summary>What to add to red, green and blue, as shares of 255.</summary>
    public static void Draw(ulong key, double deviation, Span<double> shift)
    {
        shift.Clear();
        for (var component = 0; component < Components.Length; component++)
        {
            var amount = deviation * Deviations[component] * CounterRandom.Normal(key, FirstNormal + (ulong)component);
            for (var c = 0; c < shift.Length; c++)
                shift[c] += amount * Components[component][c];
        }
    }
}

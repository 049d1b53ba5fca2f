using static TorchSharp.torch;

namespace Cluster.Models.Vgg;

/// <summary>
/// Dense evaluation of a trained <see cref="Vgg"/> on images of any size: Simonyan and Zisserman 2014, §3.2. The fully connected layers
/// become convolutions (7×7, 1×1, 1×1), which slide over the last map; the scores of the places are averaged.
/// </summary>
/// <remarks>
/// The convolutions are views of the net's own weights: they cost no memory and follow its training. There is no dropout, as at test.
/// </remarks>
public sealed class DenseVgg
{
    private readonly Vgg net;

    public DenseVgg(Vgg net) => this.net = net;

    /// <summary>Classes' scores by place: (N, channels, H, W) → (N, classes, H/32 − 6, W/32 − 6) for the net of 224 pixels.</summary>
    /// <exception cref="ArgumentException">The images are smaller than the net's own.</exception>
    public Tensor ScoreMap(Tensor images)
    {
        if (images.shape[2] < net.Shape.InputSize || images.shape[3] < net.Shape.InputSize)
        {
            throw new ArgumentException(
                $"images of {images.shape[2]}×{images.shape[3]} are smaller than the net's {net.Shape.InputSize}×{net.Shape.InputSize}; "
                    + "enlarge them", nameof(images));
        }

        var x = net.Features(images);                            // N×512×h×w
        x = Convolve(x, "classifier.0", net.MapSize).relu_();    // N×4096×(h−6)×(w−6)
        x = Convolve(x, "classifier.3", 1).relu_();              // N×4096×(h−6)×(w−6)
        return Convolve(x, "classifier.6", 1);                   // N×classes×(h−6)×(w−6)
    }

    /// <summary>(N, channels, H, W) → (N, classes): the score map's average.</summary>
    public Tensor Scores(Tensor images) => ScoreMap(images).mean([2, 3]);

    private Tensor Convolve(Tensor x, string layer, int kernel)
    {
        var weight = net.get_parameter(layer + ".weight")!;
        return nn.functional.conv2d(x, weight.view(weight.shape[0], x.shape[1], kernel, kernel), net.get_parameter(layer + ".bias"));
    }
}

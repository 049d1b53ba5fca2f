using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Cluster.Bench.Training.Plain;

/// <summary>Features, a pooling to one size, and fully connected layers: torchvision's VGG and AlexNet.</summary>
internal sealed class PlainVgg : Module<Tensor, Tensor>
{
    private readonly Sequential features, classifier;
    private readonly AdaptiveAvgPool2d avgpool;

    public PlainVgg(Sequential features, Sequential classifier, int pooled)
        : base("vgg")
    {
        (this.features, this.classifier, avgpool) = (features, classifier, AdaptiveAvgPool2d(pooled));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => classifier.call(avgpool.call(features.call(x)).flatten(1));
}

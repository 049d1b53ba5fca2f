using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Cluster.Bench.Training.Plain;

/// <summary>
/// Networks as a user of TorchSharp writes them from its documentation; names are torchvision's, so that ours' weights fit.
/// </summary>
internal static class PlainNetworks
{
    /// <param name="network">By the registry's name.</param>
    /// <returns>The module, and what it gives for images: logits, and those of auxiliary heads behind them.</returns>
    public static (Module Module, Func<Tensor, Tensor[]> Outputs) Create(TrainCase network) => network.Model switch
    {
        "lenet5" => One(new PlainLeNet5(network.Channels, network.Classes)),
        "alexnet" => One(new PlainAlexNet(network.Classes)),
        "alexnet_owt" => One(new PlainVgg(AlexNetFeatures(), AlexNetClassifier(network.Classes), pooled: 6)),
        "vgg11" => One(new PlainVgg(VggFeatures(), VggClassifier(network.Classes), pooled: 7)),
        "resnet18" => One(new PlainResNet18(network.Classes)),
        "mobilenet_v2" => One(new PlainMobileNetV2(network.Classes)),
        "googlenet" => Several(new PlainGoogLeNet(network.Classes, asPublished: true)),
        "googlenet_tv" => Several(new PlainGoogLeNet(network.Classes, asPublished: false)),
        var other => throw new ArgumentException($"{other} has not been written in plain TorchSharp", nameof(network)),
    };

    private static (Module Module, Func<Tensor, Tensor[]> Outputs) One(Module<Tensor, Tensor> module) =>
        (module, images => [module.call(images)]);

    private static (Module Module, Func<Tensor, Tensor[]> Outputs) Several(Module<Tensor, Tensor[]> module) => (module, module.call);

    private static Sequential AlexNetFeatures() => Sequential(
        Conv2d(3, 64, 11, stride: 4, padding: 2), ReLU(inplace: true), MaxPool2d(3, stride: 2),
        Conv2d(64, 192, 5, padding: 2), ReLU(inplace: true), MaxPool2d(3, stride: 2),
        Conv2d(192, 384, 3, padding: 1), ReLU(inplace: true),
        Conv2d(384, 256, 3, padding: 1), ReLU(inplace: true),
        Conv2d(256, 256, 3, padding: 1), ReLU(inplace: true), MaxPool2d(3, stride: 2));

    private static Sequential AlexNetClassifier(int classes) => Sequential(
        Dropout(), Linear(256 * 6 * 6, 4096), ReLU(inplace: true),
        Dropout(), Linear(4096, 4096), ReLU(inplace: true),
        Linear(4096, classes));

    private static Sequential VggFeatures()
    {
        const int Pool = 0;
        var (layers, inputs) = (new List<Module<Tensor, Tensor>>(), 3);
        foreach (var channels in (int[])[64, Pool, 128, Pool, 256, 256, Pool, 512, 512, Pool, 512, 512, Pool])
        {
            if (channels == Pool)
            {
                layers.Add(MaxPool2d(2, stride: 2));
                continue;
            }

            layers.Add(Conv2d(inputs, channels, 3, padding: 1));
            layers.Add(ReLU(inplace: true));
            inputs = channels;
        }

        return Sequential(layers);
    }

    private static Sequential VggClassifier(int classes) => Sequential(
        Linear(512 * 7 * 7, 4096), ReLU(inplace: true), Dropout(),
        Linear(4096, 4096), ReLU(inplace: true), Dropout(),
        Linear(4096, classes));
}

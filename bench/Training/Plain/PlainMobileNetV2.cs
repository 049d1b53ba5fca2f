using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Cluster.Bench.Training.Plain;

/// <summary>Sandler et al. 2018, Table 2, width 1.</summary>
internal sealed class PlainMobileNetV2 : Module<Tensor, Tensor>
{
    private static readonly (int Expansion, int Channels, int Blocks, int Stride)[] Stages =
        [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

    private readonly Sequential features, classifier;

    public PlainMobileNetV2(int classes)
        : base("mobilenet_v2")
    {
        var (layers, inputs) = (new List<Module<Tensor, Tensor>> { Unit(3, 32, 3, stride: 2) }, 32);
        foreach (var (expansion, channels, blocks, stride) in Stages)
        {
            for (var i = 0; i < blocks; i++)
            {
                layers.Add(new InvertedResidual(inputs, channels, i == 0 ? stride : 1, expansion));
                inputs = channels;
            }
        }

        layers.Add(Unit(inputs, 1280, 1));
        features = Sequential(layers);
        classifier = Sequential(Dropout(0.2), Linear(1280, classes));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => classifier.call(functional.adaptive_avg_pool2d(features.call(x), 1).flatten(1));

    private static Sequential Unit(int inputs, int channels, int kernel, int stride = 1, int groups = 1) => Sequential(
        Conv2d(inputs, channels, kernel, stride: stride, padding: (kernel - 1) / 2, groups: groups, bias: false), BatchNorm2d(channels),
        ReLU6(inplace: true));

    private sealed class InvertedResidual : Module<Tensor, Tensor>
    {
        private readonly Sequential conv;
        private readonly bool hasShortcut;

        public InvertedResidual(int inputs, int channels, int stride, int expansion)
            : base("block")
        {
            var hidden = inputs * expansion;
            var layers = new List<Module<Tensor, Tensor>>();
            if (expansion > 1)
                layers.Add(Unit(inputs, hidden, 1));
            layers.AddRange(
                [Unit(hidden, hidden, 3, stride, groups: hidden), Conv2d(hidden, channels, 1, bias: false), BatchNorm2d(channels)]);
            conv = Sequential(layers);
            hasShortcut = stride == 1 && inputs == channels;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => hasShortcut ? x + conv.call(x) : conv.call(x);
    }
}

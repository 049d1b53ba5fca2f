using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Cluster.Bench.Training.Plain;

/// <summary>He et al. 2015, Table 1, 18 layers.</summary>
internal sealed class PlainResNet18 : Module<Tensor, Tensor>
{
    private readonly Conv2d conv1 = Conv2d(3, 64, 7, stride: 2, padding: 3, bias: false);
    private readonly BatchNorm2d bn1 = BatchNorm2d(64);
    private readonly ReLU relu = ReLU(inplace: true);
    private readonly MaxPool2d maxpool = MaxPool2d(3, stride: 2, padding: 1);
    private readonly Sequential layer1 = Stage(64, 64, 1), layer2 = Stage(64, 128, 2);
    private readonly Sequential layer3 = Stage(128, 256, 2), layer4 = Stage(256, 512, 2);
    private readonly AdaptiveAvgPool2d avgpool = AdaptiveAvgPool2d(1);
    private readonly Linear fc;

    public PlainResNet18(int classes)
        : base("resnet18")
    {
        fc = Linear(512, classes);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        x = maxpool.call(relu.call(bn1.call(conv1.call(x))));
        x = layer4.call(layer3.call(layer2.call(layer1.call(x))));
        return fc.call(avgpool.call(x).flatten(1));
    }

    private static Sequential Stage(int inputs, int channels, int stride) =>
        Sequential(new Block(inputs, channels, stride), new Block(channels, channels, 1));

    private sealed class Block : Module<Tensor, Tensor>
    {
        private readonly Conv2d conv1, conv2;
        private readonly BatchNorm2d bn1, bn2;
        private readonly ReLU relu = ReLU(inplace: true);
        private readonly Sequential? downsample;

        public Block(int inputs, int channels, int stride)
            : base("block")
        {
            conv1 = Conv2d(inputs, channels, 3, stride: stride, padding: 1, bias: false);
            bn1 = BatchNorm2d(channels);
            conv2 = Conv2d(channels, channels, 3, padding: 1, bias: false);
            bn2 = BatchNorm2d(channels);
            if (stride > 1)
                downsample = Sequential(Conv2d(inputs, channels, 1, stride: stride, bias: false), BatchNorm2d(channels));
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var y = bn2.call(conv2.call(relu.call(bn1.call(conv1.call(x)))));
            return relu.call(y.add_(downsample is null ? x : downsample.call(x)));
        }
    }
}

using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Cluster.Bench.Training.Plain;

/// <summary>
/// Szegedy 2014, Table 1 and Fig. 3, with local response normalisation, or torchvision's with batch normalisation and 3×3 where the
/// paper has 5×5.
/// </summary>
internal sealed class PlainGoogLeNet : Module<Tensor, Tensor[]>
{
    private readonly Module<Tensor, Tensor> conv1, conv2, conv3, maxpool1, maxpool2, maxpool3, maxpool4;
    private readonly Module<Tensor, Tensor> inception3a, inception3b, inception4a, inception4b, inception4c, inception4d, inception4e;
    private readonly Module<Tensor, Tensor> inception5a, inception5b, aux1, aux2;
    private readonly Dropout dropout;
    private readonly Linear fc;

    public PlainGoogLeNet(int classes, bool asPublished)
        : base("googlenet")
    {
        conv1 = new Unit(3, 64, 7, asPublished, stride: 2);
        conv2 = new Unit(64, 64, 1, asPublished);
        conv3 = new Unit(64, 192, 3, asPublished);
        maxpool1 = asPublished ? Sequential(MaxPool2d(3, stride: 2, ceil_mode: true), Norm()) : MaxPool2d(3, stride: 2, ceil_mode: true);
        maxpool2 = asPublished ? Sequential(Norm(), MaxPool2d(3, stride: 2, ceil_mode: true)) : MaxPool2d(3, stride: 2, ceil_mode: true);
        maxpool3 = MaxPool2d(3, stride: 2, ceil_mode: true);
        maxpool4 = MaxPool2d(asPublished ? 3 : 2, stride: 2, ceil_mode: true);
        inception3a = new Inception(192, [64, 96, 128, 16, 32, 32], asPublished);
        inception3b = new Inception(256, [128, 128, 192, 32, 96, 64], asPublished);
        inception4a = new Inception(480, [192, 96, 208, 16, 48, 64], asPublished);
        inception4b = new Inception(512, [160, 112, 224, 24, 64, 64], asPublished);
        inception4c = new Inception(512, [128, 128, 256, 24, 64, 64], asPublished);
        inception4d = new Inception(512, [112, 144, 288, 32, 64, 64], asPublished);
        inception4e = new Inception(528, [256, 160, 320, 32, 128, 128], asPublished);
        inception5a = new Inception(832, [256, 160, 320, 32, 128, 128], asPublished);
        inception5b = new Inception(832, [384, 192, 384, 48, 128, 128], asPublished);
        aux1 = new Auxiliary(512, classes, asPublished);
        aux2 = new Auxiliary(528, classes, asPublished);
        dropout = Dropout(asPublished ? 0.4 : 0.2);
        fc = Linear(1024, classes);
        RegisterComponents();
    }

    /// <returns>Logits, then those of the auxiliary heads.</returns>
    public override Tensor[] forward(Tensor x)
    {
        x = maxpool2.call(conv3.call(conv2.call(maxpool1.call(conv1.call(x)))));
        x = inception4a.call(maxpool3.call(inception3b.call(inception3a.call(x))));
        var first = aux1.call(x);
        x = inception4d.call(inception4c.call(inception4b.call(x)));
        var second = aux2.call(x);
        x = inception5b.call(inception5a.call(maxpool4.call(inception4e.call(x))));
        return [fc.call(dropout.call(functional.adaptive_avg_pool2d(x, 1).flatten(1))), first, second];
    }

    private static LocalResponseNorm Norm() => LocalResponseNorm(5, alpha: 5e-4, beta: 0.75, k: 2);

    private sealed class Unit : Module<Tensor, Tensor>
    {
        private readonly Conv2d conv;
        private readonly BatchNorm2d? bn;

        public Unit(int inputs, int channels, int kernel, bool asPublished, int stride = 1)
            : base("unit")
        {
            conv = Conv2d(inputs, channels, kernel, stride: stride, padding: (kernel - 1) / 2, bias: asPublished);
            bn = asPublished ? null : BatchNorm2d(channels, eps: 0.001);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            x = conv.call(x);
            return functional.relu(bn is null ? x : bn.call(x), inplace: true);
        }
    }

    private sealed class Inception : Module<Tensor, Tensor>
    {
        private readonly Module<Tensor, Tensor> branch1, branch2, branch3, branch4;

        public Inception(int inputs, int[] sizes, bool asPublished)
            : base("inception")
        {
            branch1 = new Unit(inputs, sizes[0], 1, asPublished);
            branch2 = Sequential(new Unit(inputs, sizes[1], 1, asPublished), new Unit(sizes[1], sizes[2], 3, asPublished));
            branch3 = Sequential(
                new Unit(inputs, sizes[3], 1, asPublished), new Unit(sizes[3], sizes[4], asPublished ? 5 : 3, asPublished));
            branch4 = Sequential(MaxPool2d(3, stride: 1, padding: 1, ceil_mode: true), new Unit(inputs, sizes[5], 1, asPublished));
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => cat([branch1.call(x), branch2.call(x), branch3.call(x), branch4.call(x)], 1);
    }

    private sealed class Auxiliary : Module<Tensor, Tensor>
    {
        private readonly bool asPublished;
        private readonly Unit conv;
        private readonly Linear fc1 = Linear(2048, 1024), fc2;
        private readonly Dropout dropout = Dropout(0.7);

        public Auxiliary(int inputs, int classes, bool asPublished)
            : base("auxiliary")
        {
            this.asPublished = asPublished;
            conv = new Unit(inputs, 128, 1, asPublished);
            fc2 = Linear(1024, classes);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            x = asPublished ? functional.avg_pool2d(x, 5, 3) : functional.adaptive_avg_pool2d(x, 4);
            return fc2.call(dropout.call(functional.relu(fc1.call(conv.call(x).flatten(1)), inplace: true)));
        }
    }
}

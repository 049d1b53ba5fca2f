using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Cluster.Bench.Training.Plain;

/// <summary>
/// Krizhevsky 2012, section 3.5, Fig. 2: both towers on one device, as convolutions of two groups; each tower is normalised by itself.
/// </summary>
internal sealed class PlainAlexNet : Module<Tensor, Tensor>
{
    private readonly Conv2d conv1 = Conv2d(3, 96, 11, stride: 4), conv2 = Conv2d(96, 256, 5, padding: 2, groups: 2);
    private readonly Conv2d conv3 = Conv2d(256, 384, 3, padding: 1), conv4 = Conv2d(384, 384, 3, padding: 1, groups: 2);
    private readonly Conv2d conv5 = Conv2d(384, 256, 3, padding: 1, groups: 2);
    private readonly Linear fc6 = Linear(9216, 4096), fc7 = Linear(4096, 4096), fc8;
    private readonly LocalResponseNorm norm = LocalResponseNorm(5, alpha: 5e-4, beta: 0.75, k: 2);
    private readonly MaxPool2d pool = MaxPool2d(3, stride: 2);
    private readonly Dropout drop6 = Dropout(), drop7 = Dropout();

    public PlainAlexNet(int classes)
        : base("alexnet")
    {
        fc8 = Linear(4096, classes);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        x = functional.pad(x, [1, 2, 1, 2]);
        x = pool.call(ByTower(functional.relu(conv1.call(x), inplace: true)));
        x = pool.call(ByTower(functional.relu(conv2.call(x), inplace: true)));
        x = functional.relu(conv3.call(x), inplace: true);
        x = functional.relu(conv4.call(x), inplace: true);
        x = pool.call(functional.relu(conv5.call(x), inplace: true)).flatten(1);
        x = drop6.call(functional.relu(fc6.call(x), inplace: true));
        x = drop7.call(functional.relu(fc7.call(x), inplace: true));
        return fc8.call(x);
    }

    private Tensor ByTower(Tensor x)
    {
        var (n, c, h, w) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3]);
        return norm.call(x.reshape(2 * n, c / 2, h, w)).reshape(n, c, h, w);
    }
}

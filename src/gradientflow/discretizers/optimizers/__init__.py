"""Optimizers by name, each as the flow, the scheme and the step that it is; parameters and conventions are optax's."""

from .adaptive import adadelta as adadelta
from .adaptive import adagrad as adagrad
from .adaptive import adam as adam
from .adaptive import adamw as adamw
from .adaptive import rmsprop as rmsprop
from .classical import conjugate_gradients as conjugate_gradients
from .classical import gradient_descent as gradient_descent
from .classical import momentum as momentum
from .classical import nesterov as nesterov
from .classical import proximal_point as proximal_point
from .classical import sign_descent as sign_descent
from .classical import steepest_descent as steepest_descent
from .geometric import accelerated_gradient as accelerated_gradient
from .geometric import mirror_descent as mirror_descent
from .geometric import natural_gradient as natural_gradient
from .geometric import newton as newton
from .geometric import projected_gradient as projected_gradient
from .proximal import admm as admm
from .proximal import douglas_rachford as douglas_rachford
from .proximal import fista as fista
from .proximal import ista as ista
from .proximal import restarted_fista as restarted_fista
from .steepest import lion as lion
from .steepest import muon as muon
from .steepest import signum as signum
